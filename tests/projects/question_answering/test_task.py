"""Windows, spans, thresholds, scores: each against a plain way to say the same."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from common.config import parse
from common.data.features import by_row, in_memory
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from common.task.contract import Prediction
from common.task.projects import load_task_class
from common.verify import verify
from tests.conftest import REPOSITORY

from .conftest import PROJECT

TASK = load_task_class(PROJECT)


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


@pytest.fixture(scope="module")
def task(tiny_model: Path) -> Any:
    task = TASK(parse(TASK.config_class, ["--train_file", "none", "--max_length", "32", "--stride", "8"]))
    task.load_processor(tiny_model)
    return task


def long_row(words: int, start: int, length: int) -> dict[str, Any]:
    """A context of so many words, whose answer are `length` words from word `start` on."""
    context = " ".join(["the"] * words)
    at = 4 * start
    return {
        "question": "is rain here",
        "context": context,
        "reference": [{"text": context[at : at + 4 * length - 1], "start": at}],
    }


def encoded(task: Any, rows: list[dict[str, Any]]) -> Any:
    features = in_memory(task.encode, {name: [row[name] for row in rows] for name in rows[0]})
    features.columns["id"] = [f"train:{row + 1}" for row in features["row"]]
    return features


def collated(task: Any, features: Any, epoch: int | None = None) -> Any:
    return task.collate({name: features[name] for name in features.columns}, epoch)


def test_windows_leave_out_no_word_and_count_each_answer_that_they_hold_whole(task: Any) -> None:
    for start, length in ((0, 1), (37, 3), (70, 6), (1_990, 10)):
        row = long_row(2_000, start, length)
        features = encoded(task, [row])
        assert max(features["length"]) <= 32
        covered = {tuple(place) for of in features["offsets"] for place in np.asarray(of).reshape(-1, 2).tolist()}
        assert covered == {(4 * word, 4 * word + 3) for word in range(2_000)}
        answer = row["reference"][0]
        first, last = answer["start"], answer["start"] + len(answer["text"])
        held = 0
        for offsets, spans, counts in zip(features["offsets"], features["spans"], features["counts"], strict=True):
            places = np.asarray(offsets).reshape(-1, 2)
            whole = places[0, 0] <= first and last <= places[-1, 1]
            cut = not whole and places[0, 0] < last and first < places[-1, 1]
            assert bool(spans) == whole and counts == (not cut)
            held += whole
            if spans:
                assert (places[spans[0], 0], places[spans[1], 1]) == (first, last)
        assert held >= 1


def test_items_and_loss_are_those_of_the_windows_that_count(task: Any) -> None:
    features = encoded(task, [long_row(60, 22, 6), long_row(10, 2, 1), {**long_row(5, 0, 1), "reference": []}])
    assert False in features["counts"]
    batch = collated(task, features)
    assert task.items(batch) == 2 * sum(features["counts"])
    torch.manual_seed(0)
    logits = torch.randn(2, *batch["input_ids"].shape)
    model = SimpleNamespace(start_logits=logits[0], end_logits=logits[1])
    expected = 0.0
    for index, (spans, counts) in enumerate(zip(features["spans"], features["counts"], strict=True)):
        if not counts:
            continue
        first = features["first"][index]
        inside = [features["no_answer"][index], *range(first, first + len(features["offsets"][index]) // 2)]
        for end in (0, 1):
            target = spans[end] + first if spans else features["no_answer"][index]
            kept = logits[end, index, inside].double()
            expected -= float(kept.log_softmax(0)[inside.index(target)])
    assert float(task.loss(lambda **_: model, batch)) == pytest.approx(expected, rel=1e-5)


def test_another_right_answer_is_learned_in_each_epoch(task: Any) -> None:
    row = long_row(12, 3, 1)
    row["reference"] += [{"text": "the", "start": 20}, {"text": "the", "start": 32}]
    features = encoded(task, [row])
    learned = [tuple(collated(task, features, epoch)["labels"][0].tolist()) for epoch in range(6)]
    assert len(set(learned)) == 3 and learned[:3] == learned[3:]
    assert collated(task, features)["labels"].tolist() == collated(task, features)["labels"].tolist()


def test_a_long_question_leaves_room_for_the_text_and_is_told(task: Any) -> None:
    features = encoded(task, [{**long_row(60, 20, 2), "question": "is " * 100}])
    assert features["cut"][0] and max(features["length"]) <= 32
    places = {tuple(place) for of in features["offsets"] for place in np.asarray(of).reshape(-1, 2).tolist()}
    assert len(places) == 60


@pytest.mark.parametrize("seed", range(10))
def test_the_best_spans_are_those_of_all_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    start, end = random.normal(size=(2, 3, 9)).astype(np.float32)
    start[:, 0], end[:, 5] = -np.inf, -np.inf
    longest = int(random.integers(1, 12))
    scores, tokens, total = module("reading").best_spans(torch.from_numpy(start), torch.from_numpy(end), longest)
    for row in range(3):
        pairs = {(i, j): start[row, i] + end[row, j] for i in range(9) for j in range(i, min(9, i + longest))}
        ranked = sorted((score for score in pairs.values() if np.isfinite(score)), reverse=True)
        kept = [float(score) for score in scores[row] if np.isfinite(score)]
        assert kept == pytest.approx(ranked[: len(kept)], abs=1e-6) and len(kept) == min(len(ranked), 20, len(kept))
        assert len(kept) >= min(len(ranked), 9 * longest, 20) - (9 * longest - len(ranked))
        for score, (i, j) in zip(kept, tokens[row].tolist(), strict=False):
            assert pairs[i, j] == pytest.approx(score, abs=1e-6)
        assert float(total[row]) == pytest.approx(float(np.logaddexp.reduce(ranked)), abs=1e-4)


def test_no_answer_is_ever_outside_of_the_context(task: Any) -> None:
    """Whatever the model likes best: the question, a sign, the padding."""
    rows = [long_row(6, 1, 1), long_row(40, 1, 1)]
    features = encoded(task, rows)
    batch = collated(task, features)
    loud = torch.where(batch["in_context"], 0.0, 99.0)
    found = task.predict(lambda **_: SimpleNamespace(start_logits=loud, end_logits=loud), batch)
    for read, offsets in zip(found, features["offsets"], strict=True):
        places = np.asarray(offsets).reshape(-1, 2)
        assert len(read.scores) == 20 and np.isfinite(read.scores).all()
        assert np.isin(read.spans[:, 0], places[:, 0]).all() and np.isin(read.spans[:, 1], places[:, 1]).all()
        assert (read.spans[:, 0] < read.spans[:, 1]).all() and (read.scores == -198).all()


def test_the_best_window_answers_whatever_its_logits_begin_at(task: Any) -> None:
    """A number that is added to all logits of a window changes nothing."""
    row = long_row(100, 50, 2)
    features = encoded(task, [row])
    batch = collated(task, features)
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(size=(2, *batch["input_ids"].shape)).astype(np.float32))
    for index, spans in enumerate(features["spans"]):
        if spans:
            for end in (0, 1):
                logits[end, index, features["first"][index] + spans[end]] += 9
    shifts = torch.from_numpy(random.normal(scale=50, size=(len(logits[0]), 1)).astype(np.float32))
    said = []
    for moved in (logits, logits + shifts):
        output = SimpleNamespace(start_logits=moved[0], end_logits=moved[1])
        windows = task.predict(lambda output=output, **_: output, batch)
        said.append(task.finish({"context": [row["context"]]}, by_row(windows, features, 1))[0])
    assert said[0].value == row["reference"][0]["text"] and said[0].details["start"] == row["reference"][0]["start"]
    assert said[1].value == said[0].value and said[1].confidence == pytest.approx(said[0].confidence, abs=1e-3)


def read(*spans: tuple[int, int, float]) -> Any:
    scores = np.asarray([score for *_, score in spans], np.float32)
    places = np.asarray([(start, end) for start, end, _ in spans], np.int64).reshape(-1, 2)
    total = float(np.logaddexp.reduce(scores)) if len(scores) else -np.inf
    return module("reading").Read(scores, places, total)


def test_probabilities_of_what_can_be_said_add_up_and_the_likeliest_is_said() -> None:
    answer = module("reading").answer
    windows = [read((0, 3, 2.0), (4, 7, 0.5)), read((4, 7, 1.0))]
    given = answer("one two", windows, 0.0, 0.0)
    parts = np.exp([2.0, 0.5, 1.0, 0.0]) / np.exp([2.0, 0.5, 1.0, 0.0]).sum()
    assert (given.value, given.details["start"]) == ("one", 0)
    assert given.confidence == pytest.approx(parts[0], abs=1e-5)
    assert given.details["none"] == pytest.approx(parts[3], abs=1e-5)
    assert [one["text"] for one in given.details["others"]] == ["two"]
    assert answer("one two", windows, 2.5, 0.0).value == ""
    assert answer("one two", windows, None, 0.0).value == "one" and not answer("one two", windows, None, 0.9).sure
    nothing = answer("one two", [read()], 0.0, 0.5)
    assert (nothing.value, nothing.confidence, nothing.details["others"]) == ("", 1.0, [])


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("a subword here", "word", "subword"),
        ("x  two ", " two ", "two"),
        ("3.14 and 15", "14", "14"),
        ("cafe\u0301 bar", "cafe", "cafe\u0301"),
        ("東京都に行く", "京都", "京都"),
        ("snake_case", "snake", "snake"),
    ],
)
def test_answers_end_with_their_words(text: str, part: str, whole: str) -> None:
    start = text.index(part)
    first, last = module("reading").whole_words(text, start, start + len(part))
    assert text[first:last] == whole


def test_the_scores_of_a_task_are_those_of_the_evaluate_module(task: Any) -> None:
    references = [[{"text": "one two", "start": 0}, {"text": "three", "start": 9}], [], [{"text": "four", "start": 0}]]
    predictions = [Prediction("two"), Prediction(""), Prediction("")]
    scores = task.score(task.statistics(predictions, references).sum(axis=0))
    by_module = task.compute_metrics(predictions, references)
    assert set(by_module) == {"f1", "exact_match"} == {metric.name for metric in task.metrics}
    assert {name: float(value) for name, value in scores.items()} == pytest.approx(by_module, abs=1e-12)


def test_another_answer_is_the_same_only_where_it_hardly_matters(task: Any) -> None:
    one = Prediction("a", 0.6, details={"gap": 0.2})
    assert task.same(one, Prediction("a", 0.61, details={"gap": 0.2}), 0.02)
    assert not task.same(one, Prediction("a", 0.7, details={"gap": 0.2}), 0.02)
    assert not task.same(one, Prediction("b", 0.6, details={"gap": 0.2}), 0.02)
    assert task.same(one, Prediction("b", 0.41, details={"gap": 0.01}), 0.02)


@pytest.mark.slow
def test_a_run_says_what_it_has_to(finished_question_run: Run) -> None:
    results = read_json(finished_question_run.results)
    assert results["metrics"]["f1"]["value"] > results["baselines"]["nothing"]["f1"]["value"]
    assert set(results["baselines"]) == {"nothing", "word_overlap", "lines", "frozen_encoder_spans"}
    assert not results["failed"]
    rows = results["sections"]["answerable"]["rows"]
    assert sum(row["examples"] for row in rows) == results["examples"] and len(rows) == 2
    assert {row["slice"] for row in results["slices"]} >= {
        "question word",
        "answer stands",
        "context length",
        "windows",
    }
    without = next(row for row in results["robustness"] if row["perturbation"].startswith("without"))
    assert without["metrics"]["f1"]["value"] < results["metrics"]["f1"]["value"], "it reads the question"
    report = finished_question_run.report.read_text(encoding="utf-8")
    assert "With an answer, and without" in report


@pytest.mark.slow
def test_the_model_answers_without_the_kit_as_it_was_measured(finished_question_run: Run) -> None:
    readme = (REPOSITORY / "projects" / PROJECT / "README.md").read_text(encoding="utf-8")
    as_in_readme = TASK.usage.replace('folder = "model"', f'folder = "runs/{PROJECT}/starter/model"')
    assert f"```python\n{as_in_readme}```" in readme
    card = finished_question_run.card.read_text(encoding="utf-8").split()
    assert " ".join(TASK.usage.split()) in " ".join(card)
    names: dict[str, Any] = {}
    code = TASK.usage.replace('folder = "model"', f"folder = {str(finished_question_run.model)!r}")
    exec(compile(code, "README", "exec"), names)
    predictor = Predictor.load(finished_question_run.folder, precision="fp32")
    records = [json.loads(line) for line in finished_question_run.predictions.read_text(encoding="utf-8").splitlines()]
    predictions = predictor.predict([record["input"] for record in records])
    assert len({prediction.value for prediction in predictions}) > 3
    for record, prediction in zip(records, predictions, strict=True):
        if prediction.details["gap"] > 1e-4:
            assert names["ask"](**record["input"]) == prediction.value


@pytest.mark.slow
def test_it_is_asked_on_the_command_line(
    finished_question_run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from common.cli import main

    asked = json.dumps({"question": "drum drum", "context": "the rain is here"})
    monkeypatch.setattr("sys.argv", ["kit", "predict", asked, "--run", str(finished_question_run.folder)])
    main()
    printed = capsys.readouterr().out
    assert "rain" in printed.splitlines()[1] and "no answer in this text" in printed


@pytest.mark.parametrize("typed", ["what?", '{"question": "what?"}', '{"question": 1, "context": "x"}', "[" * 100_000])
def test_what_is_typed_wrongly_gets_a_sentence(task: Any, typed: str) -> None:
    with pytest.raises(UserError, match="no JSON object with texts for question and context: write"):
        task.typed_input(typed)


@pytest.mark.slow
def test_a_run_is_verified(finished_question_run: Run) -> None:
    assert not [check for check in verify(finished_question_run.folder) if check.differences]


@pytest.mark.slow
def test_baselines_come_back_as_they_were_saved(finished_question_run: Run, tmp_path: Path) -> None:
    predictor = Predictor.load(finished_question_run.folder, precision="fp32")
    baselines = module("baselines")
    data = predictor.task.data()
    from common.models.pretrained import pretrained

    source = pretrained(predictor.task.config.model, None).folder
    inputs = [predictor.task.raw_input(row) for row in data.splits["test"].select(range(12))]
    for name, one in baselines.fit_baselines(predictor.task, data, source).items():
        (folder := tmp_path / name).mkdir()
        one.save(folder)
        again = predictor.task.load_baseline(folder)
        assert again.predict(inputs) == one.predict(inputs) and again.title == one.title
