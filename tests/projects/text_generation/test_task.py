"""Losses, answers and evidence of a small run; and each of the usual faults, planted and found."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.config import parse
from common.data.features import in_memory
from common.metrics import language_model, text
from common.models.causal import IGNORED
from common.predictor import Predictor
from common.reporting.space import write_space
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json, write_json
from common.task.contract import Prediction
from common.task.projects import load_task_class
from common.verify import verify

from .conftest import PROJECT
from .rows import answered, write_jsonl

TASK = load_task_class(PROJECT)


@pytest.fixture(scope="module")
def task(tiny_chat_model: Path) -> Any:
    task = TASK(parse(TASK.config_class, ["--train_file", "none", "--max_new_tokens", "24"]))
    task.load_processor(tiny_chat_model)
    return task


def rows_of(task: Any, count: int = 6) -> dict[str, list[Any]]:
    rows = answered(count)
    return {**task.rows([row["prompt"] for row in rows]), "reference": [row["completion"] for row in rows]}


def batch_of(task: Any, rows: dict[str, list[Any]]) -> Any:
    features = in_memory(task.encode, rows)
    return task.collate({name: features[name] for name in features.columns})


def assert_what_is_learned(task: Any, batch: Any, rows: dict[str, list[Any]]) -> None:
    """Each position is told the token that follows it, of the answer and its end, and of nothing else."""
    start, end = task.tokenizer.bos_token_id, task.tokenizer.eos_token_id
    for ids, mask, targets, answer in zip(
        batch["input_ids"], batch["attention_mask"], batch["targets"], rows["reference"], strict=True
    ):
        at = (targets != IGNORED).nonzero().ravel()
        assert task.tokenizer.decode(targets[at]) == answer + task.tokenizer.decode([end])
        assert (targets[at] == ids[at + 1]).all() and mask[at + 1].all()
        assert (ids[mask.bool()] == start).sum() == 3, "system, user, assistant: each begins once"


def prompt_learned(batch: Any) -> None:
    batch["targets"][:, :-1] = batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, IGNORED)


def end_masked(batch: Any) -> None:
    batch["targets"][batch["targets"] == 2] = IGNORED


def doubled_first_token(batch: Any) -> None:
    for name, first in (("input_ids", 1), ("attention_mask", 1), ("targets", IGNORED)):
        batch[name] = torch.cat([torch.full_like(batch[name][:, :1], first), batch[name]], dim=1)


def shifted_twice(batch: Any) -> None:
    batch["targets"] = batch["targets"].roll(-1, dims=1)


@pytest.mark.parametrize("fault", [prompt_learned, end_masked, doubled_first_token, shifted_twice])
def test_what_is_learned_is_right_and_each_fault_is_seen(task: Any, fault: Callable[[Any], None]) -> None:
    rows = rows_of(task)
    batch = batch_of(task, rows)
    assert_what_is_learned(task, batch, rows)
    fault(batch)
    with pytest.raises(AssertionError):
        assert_what_is_learned(task, batch, rows)


def test_the_loss_is_summed_over_the_items_as_transformers_averages_it(task: Any, tiny_chat_model: Path) -> None:
    batch = batch_of(task, rows_of(task))
    model = task.prepare(tiny_chat_model, None).eval()
    loss = task.loss(model, batch).item()
    labels = torch.cat([torch.full_like(batch["targets"][:, :1], IGNORED), batch["targets"][:, :-1]], dim=1)
    plain = model.plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels)
    assert loss / task.items(batch) == pytest.approx(plain.loss.item(), rel=1e-5)
    with torch.no_grad():
        assert float(task.evaluate(model, batch)[0]) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("otherwise", [{"pack": True, "max_length": 200}, {"gradient_checkpointing": True}])
def test_packing_and_checkpointing_change_neither_loss_nor_gradient(
    task: Any, tiny_chat_model: Path, otherwise: dict[str, Any]
) -> None:
    other = TASK(replace(task.config, **otherwise))
    other.load_processor(tiny_chat_model)
    features = in_memory(task.encode, rows_of(task))
    found = []
    for one in (task, other):
        torch.manual_seed(0)
        model = one.prepare(tiny_chat_model, None).train()
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # where these are zero, most gradients are, too
                weight.data.normal_(std=0.05)
        batch = one.collate({name: features[name] for name in features.columns}, epoch=0)
        loss = one.loss(model, batch)
        loss.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
        found.append((len(batch["input_ids"]), one.items(batch), loss.item(), gradients))
    (rows, *plain, gradients), (fewer, *same, others) = found
    assert same == pytest.approx(plain, rel=1e-5) and (fewer < rows) is other.packs
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-5)


def test_of_several_turns_all_are_learned_and_the_last_one_is_measured(task: Any, tiny_chat_model: Path) -> None:
    turns = [("rain", "weather"), ("soup", "food"), ("drum", "music")]
    chat = [
        {"role": role, "content": said}
        for pair in turns
        for role, said in zip(("user", "assistant"), pair, strict=True)
    ]
    rows = {"messages": [chat[:-1]], "reference": ["music"]}
    batch = batch_of(task, rows)
    learned = batch["targets"][batch["targets"] != IGNORED]
    end = task.tokenizer.decode([task.template.turn_end])
    assert task.tokenizer.decode(learned) == end.join(["weather", "food", "music", ""])
    assert batch["answers"] == [len(task.tokenizer("music")["input_ids"]) + 1]
    assert task.tokenizer.decode(batch["prompt_ids"][0]).count("assistant") == 3


def test_a_preview_shows_what_is_learned(
    tiny_chat_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from common.preview import preview

    file = write_jsonl(tmp_path / "rows.jsonl", answered(30))
    preview(PROJECT, ["--train_file", str(file), "--model", str(tiny_chat_model), "--system_prompt", "Be brief."])
    shown = capsys.readouterr().out
    assert shown.count("[learned> {") == 3 == shown.count("<|im_end|> <learned]") and "Be brief." in shown


def test_a_fine_tuning_of_all_weights_from_random_ones_learns(tiny_chat_model: Path) -> None:
    options = ["--tuning", "full", "--pretrained", "false", "--gradient_checkpointing", "true", "--train_file", "none"]
    task = TASK(parse(TASK.config_class, options))
    task.load_processor(tiny_chat_model)
    torch.manual_seed(0)
    model = task.prepare(tiny_chat_model, None).train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    batch = batch_of(task, rows_of(task))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        losses.append(task.loss(model, batch) / task.items(batch))
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("answer_format", "said", "right", "same"),
    [
        ("json", '{"b": 1, "a": "x"}', '{"a": "x",  "b": 1}', True),
        ("json", '{"a": "x"}', '{"a": "y"}', False),
        ("json", '{"a": NaN}', '{"a": 1}', False),
        ("command", "tar xf {{path/to/file}}  -v", "tar xf {{file}} -v", True),
        ("command", "tar xf file", "tar xf {{file}}", False),
        ("text", "one  two\n", "one two", True),
        ("text", "{{a}}", "{{b}}", False),
    ],
)
def test_answers_are_compared_by_their_format(answer_format: str, said: str, right: str, same: bool) -> None:
    found = text.statistics([said], [right], [True], answer_format, "a")
    assert bool(found[0, 0]) is same and found[0, -1] == 1


def test_the_field_and_the_first_word_have_scores_of_their_own() -> None:
    said = ['{"intent": "on", "x": 1}', "{", "", '{"intent": 1}']
    right = ['{"intent": "on"}', '{"intent": "on"}', '{"intent": "on"}', '{"intent": "1"}']
    sums = text.statistics(said, right, [True, False, True, True], "json", "intent").sum(axis=0)
    scores = {name: float(value) for name, value in text.score(sums).items()}
    assert scores == {"exact_match": 0, "first_word": 0.5, "valid_json": 0.5, "field": 0.25, "stopped": 0.75}


def test_bits_a_byte_are_nats_over_bytes() -> None:
    sums = language_model.statistics(np.asarray([2.0, 4.0]), [2, 1], ["é", "ab"]).sum(axis=0)
    found = {name: float(value) for name, value in language_model.score(sums).items()}
    assert found == pytest.approx({"nats_per_token": 2.0, "bits_per_byte": 6 / np.log(2) / 4})


def test_another_answer_is_the_same_only_where_two_tokens_were_as_likely(task: Any) -> None:
    one = Prediction("a", 0.6, details={"gap": 0.2})
    assert task.same(one, Prediction("a", 0.61, details={"gap": 0.2}), 0.02)
    assert not task.same(one, Prediction("a", 0.7, details={"gap": 0.2}), 0.02)
    assert not task.same(one, Prediction("b", 0.6, details={"gap": 0.2}), 0.02)
    assert task.same(one, Prediction("b", 0.4, details={"gap": 0.01}), 0.02)


@pytest.mark.slow
def test_a_run_says_what_it_has_to(finished_chat_run: Run) -> None:
    results = read_json(finished_chat_run.results)
    assert not results["failed"]
    assert set(results["metrics"]) == {"exact_match", "field", "valid_json", "stopped"}
    assert set(results["baselines"]) == {"nearest", "as_it_came", "four_examples"}
    assert results["metrics"]["exact_match"]["value"] > 0.8 > results["baselines"]["as_it_came"]["exact_match"]["value"]
    assert results["baselines"]["as_it_came"]["valid_json"]["value"] > 0.5, "it answers, but otherwise"
    sections = results["sections"]
    differences = {row["value"]: row["difference"] for row in sections["needed"]["rows"]}
    assert differences["as_it_came"]["low"] > 0
    assert len(sections["samples"]["rows"]) == 20
    after, before = (sections["likelihood"][name]["nats_per_token"]["value"] for name in ("after", "before"))
    assert after < before and sections["likelihood"]["difference"]["bits_per_byte"]["high"] < 0
    assert sections["likelihood"]["after"]["bits_per_byte"]["value"] < sections["likelihood"]["bytes"]["bits_per_byte"]
    assert sections["forgetting"]["after"]["bits_per_byte"]["value"] > 0
    assert sections["copies"]["copied"] == results["examples"] - sum(
        json.loads(line)["prediction"]["value"] not in {row["completion"] for row in answered()}
        for line in finished_chat_run.predictions.read_text(encoding="utf-8").splitlines()
    )
    report = finished_chat_run.report.read_text(encoding="utf-8")
    for head in ("Was fine-tuning needed?", "answers that nobody picked", "How likely", "forgotten", "only repeats"):
        assert head in report
    card = finished_chat_run.card.read_text(encoding="utf-8")
    assert "bits" in card and 'pipeline("text-generation"' in card and "'role': " not in card


@pytest.mark.slow
def test_plain_transformers_answers_as_the_predictor_does(finished_chat_run: Run) -> None:
    from transformers import pipeline

    predictor = Predictor.load(finished_chat_run.folder, precision="fp32")
    asked = [row["prompt"] for row in answered(20, seed=4)]
    writer = pipeline("text-generation", model=str(finished_chat_run.model), device="cpu")
    system = {"role": "system", "content": "Answer."}
    chats = [[system, {"role": "user", "content": prompt}] for prompt in asked]
    said = [writer(chat)[0]["generated_text"][-1]["content"].strip() for chat in chats]
    assert said == [one.value for one in predictor.predict(asked)] and len(set(said)) > 1


@pytest.mark.slow
def test_the_model_before_its_adapters_answers_as_it_was_measured(finished_chat_run: Run) -> None:
    predictor = Predictor.load(finished_chat_run.folder, precision="fp32")
    before = Predictor(predictor.task, predictor.task.before(finished_chat_run.model), "fp32")
    records = [json.loads(line) for line in finished_chat_run.predictions.read_text(encoding="utf-8").splitlines()]
    measured = [record["baselines"]["as_it_came"] for record in records]
    # It was measured in bf16 where the hardware has that.
    clear = [index for index, one in enumerate(measured) if one["details"]["gap"] > 0.05]
    said = before.predict([records[index]["input"] for index in clear])
    assert len(clear) > 20 and [one.value for one in said] == [measured[index]["value"] for index in clear]


@pytest.fixture
def copy_of_run(finished_chat_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(finished_chat_run.folder, tmp_path / "tiny")
    return Run(tmp_path / "tiny")


def differing(run: Run) -> set[str]:
    return {check.name.split(" (")[0] for check in verify(run.folder) if check.differences}


@pytest.mark.slow
def test_a_run_is_verified_and_other_settings_than_measured_are_seen(copy_of_run: Run) -> None:
    assert not differing(copy_of_run)
    file = copy_of_run.model / "generation_config.json"
    write_json(file, {**read_json(file), "max_new_tokens": 3})
    assert differing(copy_of_run) >= {"files by their sha256", "answers of the model and the kept baseline"}


@pytest.mark.slow
def test_a_space_holds_no_baseline_that_answers_with_training_rows(finished_chat_run: Run, tmp_path: Path) -> None:
    assert finished_chat_run.baseline_rows.exists()
    for shown in (False, True):
        space = write_space(finished_chat_run.folder, tmp_path / str(shown), training_rows=shown)
        assert Run(space / "run").baseline.exists() == Run(space / "run").baseline_rows.exists() == shown


@pytest.mark.slow
def test_a_model_without_its_adapters_is_not_taken_for_the_run(copy_of_run: Run, tiny_chat_model: Path) -> None:
    shutil.copyfile(tiny_chat_model / "model.safetensors", copy_of_run.model / "model.safetensors")
    with pytest.raises(UserError, match="are not those that its manifest"):
        Predictor.load(copy_of_run.folder)


@pytest.mark.slow
def test_prompts_of_several_turns_go_the_whole_way(tiny_chat_model: Path, tmp_path: Path) -> None:
    from common.fine_tune import fine_tune

    first = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "ask"}]
    rows = [
        {
            "messages": [
                *first,
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in answered(60)
    ]
    file = write_jsonl(tmp_path / "talks.jsonl", rows)
    options = ["--train_file", str(file), "--messages_column", "messages", "--model", str(tiny_chat_model)]
    options += ["--output_dir", str(tmp_path), "--run_name", "talks", "--max_steps", "2", "--max_new_tokens", "6"]
    fine_tune(PROJECT, [*options, "--precision", "fp32"])
    run = Run(tmp_path / PROJECT / "talks")
    results = read_json(run.results)
    assert not results["failed"] and results["metrics"]["stopped"]["value"] + 1 > 0
    asked = json.loads(run.predictions.read_text(encoding="utf-8").splitlines()[0])["input"]
    assert asked.startswith("user: hello\nassistant: ask\nuser: ")


@pytest.mark.slow
def test_plain_texts_are_learned_whole_and_measured_by_how_well_others_are_foretold(
    tiny_chat_model: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    from common.fine_tune import fine_tune

    rows = [{"text": f"{one['prompt']}, {one['completion']}, {two['prompt']}"} for one, two in pairwise(answered(81))]
    file = write_jsonl(tmp_path / "texts.jsonl", rows)
    options = [
        "--train_file",
        str(file),
        "--text_column",
        "text",
        "--model",
        str(tiny_chat_model),
        "--max_length",
        "48",
    ]
    options += ["--output_dir", str(tmp_path), "--run_name", "texts", "--max_steps", "6", "--max_new_tokens", "4"]
    fine_tune(PROJECT, [*options, "--learning_rate", "1e-2", "--precision", "fp32", "--pack", "true"])
    run = Run(tmp_path / PROJECT / "texts")
    results = read_json(run.results)
    assert not results["failed"] and set(results["baselines"]) == {"bytes", "as_it_came"}
    score = results["metrics"]["bits_per_byte"]["value"]
    assert 0 < score < results["baselines"]["as_it_came"]["bits_per_byte"]["value"]
    assert not differing(run) and "bits a byte" in run.report.read_text(encoding="utf-8")

    predictor = Predictor.load(run.folder, precision="fp32")
    beginning = json.loads(run.predictions.read_text(encoding="utf-8").splitlines()[0])["input"]
    (found,) = predictor.predict([beginning])
    ids = torch.tensor(predictor.task.tokenizer([beginning], add_special_tokens=False)["input_ids"])
    plain = AutoModelForCausalLM.from_pretrained(run.model)
    assert found.details["foretold"] == ids.shape[1] - 1 and found.confidence is None
    if ids.shape[1] <= 48:
        whole = plain(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        assert found.details["nats"] == pytest.approx(whole, rel=1e-4)
