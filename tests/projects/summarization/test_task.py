"""Windows, losses and answers of both recipes against plain ways to say the same; and small runs from end to end."""

import importlib
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.config import parse
from common.data.features import by_row, in_memory
from common.metrics import rouge
from common.models.causal import IGNORED
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json, write_json
from common.task.contract import Prediction
from common.task.projects import load_task_class
from common.verify import verify

from .conftest import PROJECT
from .models import tiny_seq2seq
from .rows import documents, write_jsonl

TASK = load_task_class(PROJECT)
WRITES = ("--method", "abstractive", "--max_new_tokens", "12")


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


def task_of(source: Path, *options: str) -> Any:
    task = TASK(parse(TASK.config_class, ["--train_file", "none", *options]))
    task.load_processor(source)
    return task


def encoded(task: Any, rows: list[dict[str, Any]]) -> Any:
    features = in_memory(task.encode, {name: [row[name] for row in rows] for name in rows[0]})
    features.columns["id"] = [f"train:{row + 1}" for row in features["row"]]
    return features


def collated(task: Any, features: Any) -> Any:
    return task.collate({name: features[name] for name in features.columns})


def rows_of(count: int) -> list[dict[str, Any]]:
    return [{"document": row["document"], "reference": [row["summary"]]} for row in documents(count)]


@pytest.fixture(scope="module")
def extractive(tiny_model: Path) -> Any:
    return task_of(tiny_model, "--max_length", "32")


LONG = {"document": " ".join(f"The {'rain ' * (n % 5)}is here." for n in range(40)), "reference": ["Rain is here."]}


# Extractive


def test_windows_hold_every_token_and_say_which_sentence_it_is_of(extractive: Any) -> None:
    features = encoded(extractive, [LONG, *rows_of(3)])
    assert max(features["length"]) <= 32 and features["row"].count(0) > 5
    sentences = module("sentences").sentences_of(LONG["document"])
    seen: dict[int, set[int]] = {}
    for row, ids, owners in zip(features["row"], features["input_ids"], features["owners"], strict=True):
        assert len(ids) == len(owners) and owners[0] == owners[-1] == -1
        if row == 0:
            for owner in set(owners) - {-1}:
                seen.setdefault(owner, set()).add(owners.count(owner))
    whole = [len(extractive.recipe.tokenizer(one, add_special_tokens=False)["input_ids"]) for one in sentences]
    assert [max(seen[index]) for index in range(len(sentences))] == whole, "each is whole in some window"


def test_what_is_learned_is_shared_out_and_the_rest_of_a_window_falls_to_elsewhere(extractive: Any) -> None:
    features = encoded(extractive, [LONG])
    shares = module("oracle").soft_shares(module("sentences").sentences_of(LONG["document"]), LONG["reference"], 0.1)
    for owners, targets in zip(features["owners"], features["targets"], strict=True):
        inside = sorted(set(owners) - {-1})
        assert targets[:-1] == pytest.approx(shares[inside].tolist())
        assert sum(targets) == pytest.approx(1.0)
    batch = collated(extractive, features)
    assert batch["targets"].sum(dim=1) == pytest.approx(torch.ones(len(features)))


def test_the_loss_is_the_cross_entropy_of_the_means_of_tokens(extractive: Any, tiny_model: Path) -> None:
    features = encoded(extractive, [LONG, *rows_of(4)])
    batch = collated(extractive, features)
    torch.manual_seed(0)
    model = extractive.prepare(tiny_model, None).eval()
    expected = 0.0
    for ids, owners, targets in zip(features["input_ids"], features["owners"], features["targets"], strict=True):
        logits = model(input_ids=torch.tensor([ids])).logits[0, :, 0].detach().double()
        inside = sorted(set(owners) - {-1})
        means = [logits[[at for at, owner in enumerate(owners) if owner == one]].mean() for one in inside]
        logs = torch.stack([*means, logits[0]]).log_softmax(0)
        expected -= float((torch.tensor(targets, dtype=torch.float64) * logs).sum())
    assert float(extractive.loss(model, batch)) == pytest.approx(expected, rel=1e-5)
    assert extractive.items(batch) == len(features)
    assert float(extractive.evaluate(model, batch)[0]) == pytest.approx(expected, rel=1e-5)


def test_a_loss_with_nothing_in_a_place_has_a_finite_gradient() -> None:
    scores = torch.tensor([[1.0, -torch.inf, 0.5]], requires_grad=True)
    loss = module("extractive").listwise(scores, torch.tensor([[1.0, 0.0, 0.0]]))
    loss.backward()
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-0.5))) and torch.isfinite(scores.grad).all()


def test_answers_do_not_depend_on_what_they_are_padded_with(extractive: Any, tiny_model: Path) -> None:
    torch.manual_seed(0)
    model = extractive.prepare(tiny_model, None).eval()
    rows = [LONG, *rows_of(6)]
    together = encoded(extractive, rows)
    with torch.no_grad():
        outputs = by_row(extractive.predict(model, collated(extractive, together)), together, len(rows))
        for row, found in zip(
            rows, extractive.finish({"document": [row["document"] for row in rows]}, outputs), strict=True
        ):
            alone = encoded(extractive, [row])
            said = extractive.predict(model, collated(extractive, alone))
            assert extractive.finish({"document": [row["document"]]}, [said])[0].value == found.value


def test_sentences_stand_in_the_documents_order_and_labels_are_taken(tiny_model: Path) -> None:
    task = task_of(tiny_model, "--sentences", "2", "--label_temperature", "0")
    ranked = module("extractive").Ranked([0, 1, 2], [3, 3, 3], [0.1, 2.0, 1.0])
    other = module("extractive").Ranked([2, 3], [3, 5], [5.0, -1.0])  # the mean of sentence 2 is 3
    found = task.finish({"document": ["One 1. Two 2. Three 3. Four 4."]}, [[ranked, other]])[0]
    assert found.value == "Two 2.\nThree 3." and found.details["sources"] == [[7, 13], [14, 22]]
    chances = np.exp([0.1, 2.0, 3.0, -1.0]) / np.exp([0.1, 2.0, 3.0, -1.0]).sum()
    assert found.details["chances"] == pytest.approx(chances.tolist(), abs=1e-4)
    assert found.details["gap"] == pytest.approx(chances[1] - chances[0], abs=1e-5)
    given = encoded(task, [{"document": "The rain. A drum. The song.", "reference": ["x"], "labels": [1, 0, 1]}])
    assert given["targets"] == [[0.5, 0.0, 0.5, 0.0]]
    greedy = encoded(task, [{"document": "The rain. A drum. The song.", "reference": ["a drum"]}])
    assert greedy["targets"] == [[0.0, 1.0, 0.0, 0.0]]


def test_a_model_without_a_first_token_is_refused(tiny_chat_model: Path) -> None:
    with pytest.raises(UserError, match="give --method abstractive"):
        task_of(tiny_chat_model)


# Abstractive, a chat model


def test_the_summary_and_its_end_are_learned_and_the_middle_of_long_documents_is_counted(tiny_chat_model: Path) -> None:
    task = task_of(tiny_chat_model, *WRITES, "--max_length", "64", "--instruction", "Be brief.")
    long = {"document": "start " + "rain " * 200 + "finish", "reference": ["drum song", "never learned"]}
    features = encoded(task, [long, *rows_of(30)])
    batch = collated(task, features)
    tokenizer = task.recipe.tokenizer
    learned = tokenizer.decode(batch["targets"][0][batch["targets"][0] != IGNORED])
    assert learned == "drum song<|im_end|>"
    assert features["length"][0] == 64 and features["cut"][0] == task.recipe.left_out(long["document"]) + len(
        tokenizer("drum song<|im_end|>", add_special_tokens=False)["input_ids"]
    )
    read = tokenizer.decode(features["input_ids"][0])
    assert "Be brief." in read and "start" in read and "finish" in read
    from datasets import Dataset

    kept = {name: values for name, values in features.columns.items() if name != "row"}
    found = [str(one) for one in task.check_features(Dataset.from_dict(kept))]
    assert found == [
        "the training rows, row 1: documents with summaries of more than 64 tokens, of whose documents the middle is "
        "left out: give a larger --max_length; summaries are whole."
    ]


def test_beams_are_not_for_chat_models(tiny_chat_model: Path) -> None:
    with pytest.raises(UserError, match="leave --num_beams out"):
        task_of(tiny_chat_model, *WRITES, "--num_beams", "2")


# Abstractive, an encoder with a decoder


@pytest.fixture(scope="module", params=["t5", "bart"])
def seq2seq_model(
    request: pytest.FixtureRequest, tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return tiny_seq2seq(request.param, tiny_chat_model, tmp_path_factory.mktemp(f"tiny-{request.param}"))


def test_the_loss_of_a_decoder_is_told_each_right_token_and_has_to_say_the_next(seq2seq_model: Path) -> None:
    task = task_of(seq2seq_model, *WRITES)
    model = task.prepare(seq2seq_model, None).eval()
    features = encoded(task, [{**rows_of(1)[0], "reference": ["rain " * 9]}, *rows_of(5)])
    batch = collated(task, features)
    plain = model.plain(**{name: batch[name] for name in ("input_ids", "attention_mask")}, labels=batch["targets"])
    loss = float(task.loss(model, batch))
    assert loss / task.items(batch) == pytest.approx(plain.loss.item(), rel=1e-5)
    # The same by hand, row for row without padding: what is read is shifted by one, what is said is not.
    begins, expected = model.plain.generation_config.decoder_start_token_id, 0.0
    for ids, targets in zip(features["input_ids"], features["targets"], strict=True):
        told = torch.tensor([[begins, *targets[:-1]]])
        logits = model.plain(input_ids=torch.tensor([ids]), decoder_input_ids=told).logits[0].double()
        expected -= float(logits.log_softmax(-1)[range(len(targets)), targets].sum())
    assert loss == pytest.approx(expected, rel=1e-4)
    shifted = {**batch, "targets": batch["targets"].roll(-1, dims=1)}
    assert float(task.loss(model, shifted)) != pytest.approx(expected, rel=1e-3), "shifted once more, it is seen"


@pytest.mark.parametrize("beams", ["1", "3"])
def test_what_is_written_is_that_of_transformers_whatever_the_side_of_the_padding(
    seq2seq_model: Path, beams: str
) -> None:
    task = task_of(seq2seq_model, *WRITES, "--num_beams", beams)
    model = task.prepare(seq2seq_model, None).eval()
    rows = rows_of(5)
    features = encoded(task, rows)
    batch = collated(task, features)
    written = task.predict(model, batch)
    longest = batch["input_ids"].shape[1]
    for ids, ours in zip(features["input_ids"], written, strict=True):
        alone = model.plain.generate(torch.tensor([ids]), max_new_tokens=12, num_beams=int(beams), do_sample=False)
        expected = alone[0, 1:].tolist()
        end = expected.index(2) if 2 in expected else len(expected)
        assert ours.ids == expected[:end] and ours.stopped == (2 in expected)
        gap = longest - len(ids)
        if gap and seq2seq_model.name.startswith("tiny-t5"):  # relative positions: the left side is as good
            mask = torch.tensor([[0] * gap + [1] * len(ids)])
            left = model.write(torch.tensor([[0] * gap + ids]), mask)[0]
            assert left.ids == ours.ids


def test_long_documents_lose_their_middle_and_long_summaries_are_not_learned(seq2seq_model: Path) -> None:
    middle_out = module("abstractive").middle_out
    assert middle_out(list(range(10)), 5) == [0, 1, 2, 8, 9] and middle_out([1, 2], 2) == [1, 2]
    task = task_of(seq2seq_model, *WRITES, "--max_length", "32")
    rows = [{"document": "rain " * 80, "reference": ["drum"]}, {"document": "rain", "reference": ["drum " * 80]}]
    features = encoded(task, [*rows, *({"document": f"sun {n}", "reference": ["song"]} for n in range(40))])
    assert len(features["input_ids"][0]) == 32 and features["cut"][0] == task.recipe.left_out("rain " * 80) > 0
    batch = collated(task, features)
    assert (batch["targets"][1] == IGNORED).all() and (batch["targets"][0] != IGNORED).any()
    from datasets import Dataset

    kept = {name: values for name, values in features.columns.items() if name != "row"}
    found = task.check_features(Dataset.from_dict(kept))
    assert {one.severity for one in found} == {"warning"} and sorted(one.rows for one in found) == [[1], [2]]
    few = {name: values[:4] for name, values in kept.items()}
    assert "error" in {one.severity for one in task.check_features(Dataset.from_dict(few))}


@pytest.mark.slow
def test_a_model_with_encoder_and_decoder_goes_the_whole_way(seq2seq_model: Path, tmp_path: Path) -> None:
    from common.fine_tune import fine_tune

    file = write_jsonl(tmp_path / "rows.jsonl", documents(60))
    options = ["--train_file", str(file), "--model", str(seq2seq_model), "--output_dir", str(tmp_path), *WRITES]
    options += ["--num_beams", "2", "--instruction", "short: ", "--max_steps", "2", "--run_name", "r"]
    fine_tune(PROJECT, [*options, "--precision", "fp32"])
    run = Run(tmp_path / PROJECT / "r")
    assert not read_json(run.results)["failed"]
    assert "AutoModelForSeq2SeqLM" in run.card.read_text(encoding="utf-8")
    assert not [check for check in verify(run.folder) if check.differences]


# Runs


@pytest.mark.slow
def test_a_run_that_chooses_says_what_it_has_to(finished_extract: Run) -> None:
    results = read_json(finished_extract.results)
    assert not results["failed"]
    assert list(results["metrics"]) == ["rouge1", "rouge2", "rougeLsum"]
    assert set(results["baselines"]) == {"lead_1", "lead_3", "central"}
    ours, lead = results["metrics"]["rouge1"]["value"], results["baselines"]["lead_1"]["rouge1"]["value"]
    sections = results["sections"]
    assert sections["oracle"]["rouge1"] >= ours > lead
    against = {row["value"]: row["difference"] for row in sections["needed"]["rows"]}
    assert against["lead_1"]["low"] > 0
    faithful = {row["value"]: row for row in sections["faithful"]["rows"]}
    assert faithful["the fine-tuned model"]["unsupported"] == 0 and faithful["lead_3"]["words"] > 10
    assert len(sections["samples"]["rows"]) == 20
    assert {row["kind"] for row in results["examples_to_try"]} <= {"right", "known failure"}, (
        "nothing is more or less sure"
    )
    report = finished_extract.report.read_text(encoding="utf-8")
    for head in (
        "Was fine-tuning needed?",
        "How long, how new, how faithful",
        "The most that choosing",
        "nobody picked",
    ):
        assert head in report


@pytest.mark.slow
def test_the_lines_of_the_card_choose_as_the_predictor_does(finished_extract: Run) -> None:
    usage = module("usage").EXTRACTIVE
    assert usage.strip() in finished_extract.card.read_text(encoding="utf-8").replace(
        str(finished_extract.model), "model"
    )
    program = usage.replace('"model"', repr(str(finished_extract.model))).rpartition("print")[0]
    space: dict[str, Any] = {}
    exec(program, space)
    predictor = Predictor.load(finished_extract.folder, precision="fp32")
    asked = [row["document"] for row in documents(20, seed=3)]
    with torch.no_grad():
        said = [space["summary"](module("sentences").sentences_of(document)) for document in asked]
    assert said == [one.value for one in predictor.predict(asked)]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["finished_extract", "finished_abstract"])
def test_a_run_is_verified_and_answers_as_it_was_measured(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    assert not [check for check in verify(run.folder) if check.differences]
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    predictor = Predictor.load(run.folder, precision="fp32")
    for record, found in zip(records, predictor.predict([one["input"] for one in records]), strict=True):
        measured = Prediction.from_json(record["prediction"])
        assert predictor.task.same(measured, found, 1e-4)
        summaries, references = [found.value], [record["reference"]]
        scored = rouge.statistics(summaries, references, [True])[0, 0]
        assert record["score"] == pytest.approx(scored, abs=1e-9) or found.value != measured.value


@pytest.mark.slow
def test_a_run_that_writes_says_what_it_has_to(finished_abstract: Run) -> None:
    results = read_json(finished_abstract.results)
    assert not results["failed"] and "stopped" in results["metrics"]
    assert set(results["baselines"]) == {"lead_1", "lead_3", "is_a", "nearest", "as_it_came"}
    assert results["sections"]["faithful"]["writes"]
    card = finished_abstract.card.read_text(encoding="utf-8")
    assert 'pipeline("text-generation"' in card and "Be brief." in card


@pytest.mark.slow
def test_other_settings_than_measured_are_seen(finished_abstract: Run, tmp_path: Path) -> None:
    shutil.copytree(finished_abstract.folder, tmp_path / "tiny")
    file = tmp_path / "tiny/model/generation_config.json"
    write_json(file, {**read_json(file), "max_new_tokens": 1})
    differing = {check.name.split(" (")[0] for check in verify(tmp_path / "tiny") if check.differences}
    assert differing >= {"files by their sha256", "answers of the model and the kept baseline"}


def test_another_summary_is_the_same_only_where_two_were_as_likely(extractive: Any) -> None:
    one, other = Prediction("a", details={"gap": 0.2}), Prediction("b", details={"gap": 0.01})
    assert extractive.same(one, one, 0.0) and extractive.same(one, other, 0.02)
    assert not extractive.same(one, Prediction("b", details={"gap": 0.2}), 0.02)
    assert not extractive.same(Prediction("a"), Prediction("b"), 0.02), "a baseline's is certain"


def test_the_rule_and_the_beginning_say_what_they_should() -> None:
    baselines = module("baselines")
    document = "Distance (or length) is a measurement of how far apart things are. It was the first."
    assert baselines.IsA().predict([document, "No verb here."])[0].value == "measurement of how far apart things are"
    assert baselines.IsA().predict(["No verb here. None"])[0].value == "No verb here"
    assert baselines.FirstSentences(3).predict([document])[0].value.count("\n") == 1
    assert baselines.Central(1).predict(["Drum song. Rain and wind. Rain and sun."])[0].value.startswith("Rain")
    assert re.match("the first 3", baselines.FirstSentences(3).title)
