"""What counts as new in a pretrained classifier, when its confidence is settled, and which metric leads."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, concatenate_datasets
from torch import nn

from common.data.splits import Data
from common.fine_tune import evaluate_again, fine_tune
from common.kinds.classification import UNLIKE, Classification, Read
from common.metrics.calibration import FEWEST_ROWS
from common.models.neighbours import DISTURBED, VECTORS, read_shown
from common.predictor import Predictor
from common.run import Run
from common.system.files import read_json
from common.task.contract import Outputs, Prediction
from tests.conftest import sentences, write_csv

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PICTURES = {**SMALL, "image_size": 16, "patch_size": 8}


def models() -> dict[str, nn.Module]:
    import transformers as t

    halves = {"vision_config": PICTURES, "text_config": {**SMALL, "vocab_size": 50}}
    gpt = {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2}
    return {
        "siglip": t.SiglipForImageClassification(t.SiglipConfig(**halves)),
        "clip": t.CLIPForImageClassification(t.CLIPConfig(**halves)),
        "vit": t.ViTForImageClassification(t.ViTConfig(**PICTURES)),
        "resnet": t.ResNetForImageClassification(
            t.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        ),
        "bert": t.BertForSequenceClassification(t.BertConfig(vocab_size=50, **SMALL)),
        "gpt2": t.GPT2ForSequenceClassification(t.GPT2Config(**gpt)),
    }


HEADS = {
    "siglip": "classifier.",
    "clip": "classifier.",
    "vit": "classifier.",
    "resnet": "classifier.",
    "bert": "classifier.",
    "gpt2": "score.",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_head_is_what_follows_the_pretrained_part(name: str) -> None:
    model = models()[name]
    head = Classification.head(None, model)  # type: ignore[arg-type]
    assert {
        prefix for prefix in head if any(parameter.startswith(prefix) for parameter, _ in model.named_parameters())
    } == {HEADS[name]}


class Settling(Classification):
    """What `settle` needs of a task, whose rows are points in eight dimensions: the first two tell the class."""

    project = "settling"

    def __init__(self, rows: int, leaked: int = 0) -> None:
        self.config = SimpleNamespace(seed=0)  # type: ignore[assignment]
        self.settings = {"labels": ["a", "b"]}
        splits = {"train": points(400, "train", 1), "validation": points(rows, "validation", 2)}
        twins = splits["validation"]["id"][:leaked]
        self.rows_read = Data(splits, "points", {}, leaked={"validation": twins})

    def ask(self, rows: Dataset) -> Outputs:
        vectors = np.asarray(rows["point"], dtype=np.float32)
        logits = 3 * vectors[:, :2] + np.random.default_rng(len(rows)).normal(size=(len(rows), 2)).astype(np.float32)
        if self.neighbours is None:
            return [[Read(*pair)] for pair in zip(logits, vectors, strict=True)]
        nearest = self.neighbours.nearest(torch.from_numpy(vectors))
        return [[Read(of_row, nearest=pair)] for of_row, *pair in zip(logits, *nearest, strict=True)]  # type: ignore[arg-type]

    def settled(self) -> dict[str, Any]:
        return self.settle(self.ask, self.rows_read.splits["validation"])

    def meaningless(self, rows: Dataset, count: int, folder: Path) -> dict[str, Dataset]:
        return {"far away": Dataset.from_dict({"id": ["x"] * count, "point": [[-1.0] * 8] * count})}


Settling.__abstractmethods__ = frozenset()  # nothing else is asked of it


def points(count: int, split: str, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    references = random.integers(2, size=count)
    places = np.eye(8)[references] + random.normal(scale=0.1, size=(count, 8))
    ids = [f"{split}:{number}" for number in range(count)]
    return Dataset.from_dict({"id": ids, "point": places, "reference": ["ab"[number] for number in references]})


def test_few_validation_rows_settle_nothing() -> None:
    nothing = {"temperature": 1.0, "threshold": None, "farthest": None, "meaningless": {}}
    assert Settling(FEWEST_ROWS - 1).settled() == nothing
    enough = Settling(FEWEST_ROWS).settled()
    assert enough["temperature"] != 1 and 0 < enough["threshold"] <= 1 and 0 < enough["farthest"] < 1


def test_inputs_without_a_meaning_are_found_and_few_validation_rows_are_disturbed() -> None:
    task = Settling(300)
    task.settings |= task.settled()
    assert task.settings["meaningless"] == {"far away": 1.0}
    validation = task.rows_read.splits["validation"]
    answers = task.finish(validation, task.ask(validation))
    assert 0 < np.mean([bool(answer.doubt) for answer in answers]) <= DISTURBED
    assert not any(answer.sure for answer in answers if answer.doubt)


def test_validation_rows_that_stand_in_train_do_not_choose_the_distance() -> None:
    task, with_twins = Settling(300), Settling(300, leaked=100)
    for one in (task, with_twins):
        one.rows_read.splits["train"] = concatenate_datasets(
            [points(400, "train", 1), points(300, "v", 2).select(range(100))]
        )
    assert with_twins.settled()["farthest"] > task.settled()["farthest"]
    assert Settling(300, leaked=300 - FEWEST_ROWS + 1).settled()["farthest"] is None


def test_answers_are_sure_half_as_often_wrong_also_with_rows_unlike_the_training_rows() -> None:
    task = Settling(300)
    task.settings |= task.settled()
    validation = task.rows_read.splits["validation"]
    answers = task.finish(validation, task.ask(validation))
    wrong = np.asarray([one.value != right for one, right in zip(answers, validation["reference"], strict=True)])
    sure = np.asarray([answer.sure for answer in answers])
    assert sure.any() and wrong[sure].mean() <= wrong.mean() / 2


def test_as_many_training_rows_are_remembered_as_fit_and_some_of_every_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.kinds.classification.ROWS", 40)
    task = Settling(60)
    task.settled()
    assert task.neighbours is not None and len(task.neighbours) == len(task.remembered) == 40
    assert set(task.remembered["reference"]) == {"a", "b"}


def test_an_answer_follows_from_its_details() -> None:
    task = Settling(300)
    task.settings |= task.settled()
    validation = task.rows_read.splits["validation"]
    for answer in task.finish(validation, task.ask(validation)):
        assert task.same(answer, Prediction.from_json(json.loads(json.dumps(answer.to_json()))), 0)
        moved = replace(answer, details=answer.details | {"distance": answer.details["distance"] + 0.1})
        assert not task.same(answer, moved, 0.05) and not task.same(moved, answer, 0.05)
        assert not task.same(replace(answer, doubt="" if answer.doubt else "tired"), answer, 1.0)


@pytest.mark.parametrize(("threshold", "sure"), [(None, [True, True]), (0.9, [True, False])])
def test_without_a_threshold_every_answer_is_sure(threshold: float | None, sure: list[bool]) -> None:
    task = Settling(0)
    task.settings |= {"temperature": 1.0, "threshold": threshold}
    answers = task.finish({}, [[Read(np.asarray(logits, np.float32))] for logits in ([5.0, 0.0], [0.2, 0.0])])
    assert [answer.sure for answer in answers] == sure


def test_a_run_says_whether_its_calibration_helped(finished_run: Run) -> None:
    section = read_json(finished_run.results)["sections"]["calibration"]
    assert section["calibrated"] is True
    change = section["change"]
    difference = section["negative_log_likelihood"] - section["negative_log_likelihood_uncalibrated"]
    assert change["difference"] == pytest.approx(difference)
    assert change["low"] <= change["difference"] <= change["high"] and 0 < change["p_value"] <= 1


def test_a_run_of_few_validation_rows_is_not_calibrated_and_has_its_pages(tiny_model: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "rows.csv", sentences(60))
    options = ["--train_file", str(file), "--model", str(tiny_model), "--output_dir", str(tmp_path / "runs")]
    fine_tune("text_classification", [*options, "--run_name", "tiny", "--max_steps", "1", "--precision", "fp32"])
    run = Run(tmp_path / "runs/text_classification/tiny")
    assert read_json(run.model / "kit.json")["settings"] | {"labels": 0} == {
        "labels": 0,
        "temperature": 1.0,
        "threshold": None,
        "farthest": None,
        "meaningless": {},
    }
    assert not run.neighbours.exists() and "unlike" not in read_json(run.results)["sections"]
    results = read_json(run.results)
    section = results["sections"]["calibration"]
    assert (section["calibrated"], section["change"], section["threshold"]) == (False, None, None)
    assert section["ece"] == section["ece_uncalibrated"]
    assert (results["selective"]["threshold"], results["selective"]["coverage"]) == (None, 1.0)
    assert run.card.exists() and run.report.exists()


def test_macro_f1_as_the_primary_metric_goes_through_evidence_and_pages(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(finished_run.folder, tmp_path / "tiny")
    monkeypatch.setattr(Classification, "metrics", Classification.metrics[::-1])
    run = evaluate_again(tmp_path / "tiny")
    results = read_json(run.results)
    assert results["primary_metric"] == "macro_f1" and results["failed"] == []
    assert results["comparison"]["metric"] == "macro_f1" and results["comparison"]["test"] == "paired bootstrap"
    assert all("macro_f1" in row["metrics"] for row in results["robustness"])
    assert "macro-F1" in run.card.read_text() and "macro-F1" in run.report.read_text()


def test_a_run_says_what_is_unlike_its_training_data(finished_run: Run) -> None:
    settings, results = read_json(finished_run.model / "kit.json")["settings"], read_json(finished_run.results)
    section = results["sections"]["unlike"]
    assert section["farthest"] == settings["farthest"] and section["doubt"] == UNLIKE
    assert section["meaningless"]["random letters"] > 0.5
    kept = {file.name for file in finished_run.neighbours.iterdir()}
    assert kept == {VECTORS, finished_run.nearest_rows.name}
    assert {f"neighbours/{name}" for name in kept} <= read_json(finished_run.manifest)["files"].keys()
    seen = read_shown(finished_run.nearest_rows)[0][1]
    odd, again = Predictor.load(finished_run.folder).predict(["zxcv qwer asdf", seen])
    assert (odd.doubt, odd.sure) == (UNLIKE, False)
    assert again.doubt == "" and again.details["distance"] < 1e-5 and seen in training_texts(finished_run)


def training_texts(run: Run) -> list[str]:
    predictor = Predictor.load(run.folder)
    return list(predictor.task.data().splits["train"]["text"])


def test_a_model_whose_last_layer_reads_tokens_finds_nothing_unlike() -> None:
    class ReadingTokens(Settling):
        def ask(self, rows: Dataset) -> Outputs:
            return [[Read(one.logits)] for (one,) in super().ask(rows)]

    task = ReadingTokens(300)
    settled = task.settled()
    assert task.neighbours is None and (settled["farthest"], settled["meaningless"]) == (None, {})
    assert 0 < settled["threshold"] <= 1
