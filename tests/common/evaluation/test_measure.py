"""A measurement does not believe itself: two ways to compute a metric have to agree."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.evaluation import measure
from common.evaluation.attempts import Attempts
from common.evaluation.records import read_records
from common.fine_tune import evaluate_again
from common.metrics import classification_modules
from common.predictor import Predictor
from common.run import Run
from common.system.files import read_json


def test_both_ways_agree_about_a_finished_run(finished_run: Run) -> None:
    task = Predictor.load(finished_run.folder).task
    records, results = read_records(finished_run), read_json(finished_run.results)
    measure._assert_agreement(task, records, results, Attempts())
    assert {record["set"] for record in records} == {"test", "radio"}, "only the test set's count"


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("by", [1e-6, -0.01, float("nan")])
def test_a_difference_of_the_two_is_an_error(finished_run: Run, name: str, by: float) -> None:
    task = Predictor.load(finished_run.folder).task
    records, results = read_records(finished_run), read_json(finished_run.results)
    results["metrics"][name]["value"] += by
    with pytest.raises(RuntimeError, match=rf"{name} is .* by its statistics, but .* by its evaluate module"):
        measure._assert_agreement(task, records, results, Attempts())


def test_a_module_that_errs_stops_the_measurement_before_there_are_results(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(finished_run.folder, folder)
    run = Run(folder)
    before = {file: file.read_bytes() for file in (run.results, run.manifest, run.report)}

    def off_by_one(self: object, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {
            "accuracy": sum(one == two for one, two in zip(predictions, references, strict=True))
            / (len(references) + 1)
        }

    monkeypatch.setattr(classification_modules.Accuracy, "_compute", off_by_one)
    with pytest.raises(RuntimeError, match="accuracy is"):
        evaluate_again(folder)
    assert {file: file.read_bytes() for file in before} == before


def test_a_record_is_what_its_description_says(finished_run: Run) -> None:
    records = read_records(finished_run)
    keys = {"id", "set", "reference", "prediction", "baselines", "leaked", "input"}
    keys |= {"score", "baseline_scores"}
    for record in records:
        assert record.keys() == keys | ({"slices", "perturbed"} if record["set"] == "test" else set())
        assert record["prediction"].keys() - {"sure", "doubt"} == {"value", "confidence", "details"}
        assert record["prediction"].get("sure", False) is False, "a sure answer does not say so"
        assert {*map(tuple, record["baselines"].values())} == {("value",)}
        assert all(
            answer.keys() - {"sure", "doubt"} == {"value", "confidence"}
            for answer in record.get("perturbed", {}).values()
        )
    json.dumps(records, allow_nan=False)


def test_slow_questions_of_a_busy_machine_are_asked_again_and_the_calmest_round_is_kept() -> None:
    calm = [10.0] * 95 + [14.0] * 5
    rounds = iter([[10.0] * 90 + [950.0] * 10, calm, [1.0] * 100])
    found = measure.calmest(lambda: next(rounds))
    assert found == {"p50_ms": 10, "p95_ms": pytest.approx(np.percentile(calm, 95)), "calm": True}
    assert next(rounds) == [1.0] * 100, "a calm round is not asked again"


def test_a_machine_that_stays_busy_is_said() -> None:
    """Other questions are slow in each round: none of them needs so long."""
    busy = [np.roll([10.0] * 90 + [950.0] * 10, 10 * n).tolist() for n in range(3)]
    rounds = iter(busy)
    found = measure.calmest(lambda: next(rounds))
    assert found["calm"] is False and found["p95_ms"] > 900
    assert not list(rounds)


def test_questions_that_are_slow_by_themselves_are_no_accident() -> None:
    found = measure.calmest(lambda: [10.0] * 90 + [950.0] * 10)
    assert found["calm"] is True and found["p95_ms"] == 950


def test_a_finished_run_says_how_calm_it_was(finished_run: Run) -> None:
    inference = read_json(finished_run.results)["inference"]
    assert inference["calm"] in (True, False) and 0 < inference["p50_ms"] <= inference["p95_ms"]
