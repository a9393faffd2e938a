"""Runs side by side: paired where they share test rows, and refused where their numbers mean different things."""

import copy
import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common import cli
from common import compare as compare_module
from common.compare import compare, paired_difference, print_blocks, to_markdown
from common.fine_tune import fine_tune
from common.metrics import classification
from common.metrics.intervals import Bootstrap, mcnemar
from common.run import Run
from common.system import progress
from common.system.errors import UserError
from common.system.files import read_json, write_json
from common.system.progress import SafeConsole
from tests.common.reporting import synthetic

PROJECT = "text_classification"


@pytest.fixture(scope="module")
def two_seeds(assets: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs on 400 rows of banking77 in eight intents, alike but for their seeds, measured on its test rows."""
    folder = tmp_path_factory.mktemp("banking77")
    for split, count in (("train", 400), ("test", 240)):
        with (assets / f"data/banking77/{split}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        kept = sorted({row["category"] for row in rows})[:8]
        chosen = [row for row in rows if row["category"] in kept]
        order = np.random.default_rng(0).permutation(len(chosen))[:count]
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "category"])
            writer.writeheader()
            writer.writerows(chosen[index] for index in order)
    options = ["--train_file", str(folder / "train.csv"), "--test_file", str(folder / "test.csv")]
    options += ["--label_column", "category", "--model", str(tiny_model), "--output_dir", str(folder / "runs")]
    options += ["--precision", "fp32", "--max_steps", "12", "--learning_rate", "1e-3"]
    for seed in (0, 1):
        fine_tune(PROJECT, [*options, "--seed", str(seed), "--run_name", f"seed-{seed}"])
    first, second = (Run(folder / "runs" / PROJECT / f"seed-{seed}") for seed in (0, 1))
    return first, second


def rows_of(run: Run) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]


def test_two_seeds_of_banking77_get_the_interval_of_the_library_functions(two_seeds: tuple[Run, Run]) -> None:
    answers = [[row["prediction"]["value"] for row in rows_of(run)] for run in two_seeds]  # type: ignore[index]
    references = [row["reference"] for row in rows_of(two_seeds[0])]
    names = sorted(set(map(str, references)))
    true = np.asarray([names.index(str(reference)) for reference in references])
    first, second = (np.asarray([names.index(value) for value in of_run]) for of_run in answers)
    assert len(true) > 200 and (first != second).any()
    bootstrap = Bootstrap(np.arange(len(true)))
    counts = [classification.statistics(found, true, len(names)) for found in (second, first)]
    expected = bootstrap.difference(*counts, classification.score, "accuracy", True)
    expected |= mcnemar(second == true, first == true)

    blocks = {block.title.split(":")[0]: block for block in compare([run.folder for run in two_seeds])}
    (_, reference_row), (name, row) = ((cells[0], cells) for cells in blocks["test"].rows)
    assert (name, row[1], reference_row[3:]) == ("seed-1", str(len(true)), ["", ""])
    points = {key: 100 * float(expected[key] or 0) for key in ("difference", "low", "high")}
    assert row[3] == f"{points['difference']:+.1f} ({points['low']:+.1f}..{points['high']:+.1f})"
    p_value = expected["p_value"]
    assert row[4].endswith(f"({'p < 0.001' if p_value < 0.001 else f'p = {p_value:.3f}'}, exact McNemar)")
    assert "every run answered the same rows" in blocks["test"].title
    assert blocks["options that differ"].rows == [["seed", "0", "1"]]


def test_rows_are_matched_by_their_ids_and_paired_by_group(two_seeds: tuple[Run, Run]) -> None:
    from common.predictor import load_task

    task = load_task(two_seeds[0].folder)
    first, second = (rows_of(run) for run in two_seeds)
    plain = paired_difference(first, second, task)
    assert plain and plain == paired_difference(first, second[::-1], task)
    assert plain["test"] == "exact McNemar"
    grouped = [{**row, "group": f"g{index // 4}"} for index, row in enumerate(first)]
    found = paired_difference(grouped, second, task)
    assert found and found["test"] == "paired bootstrap by group"
    assert found["difference"] == plain["difference"] and found["low"] != plain["low"]
    swapped = paired_difference(second, first, task)
    assert swapped and swapped["difference"] == pytest.approx(-plain["difference"])


@pytest.mark.parametrize("changed", [{"reference": "another"}, {"input": "another"}, {"id": "another"}])
def test_rows_that_are_not_the_same_are_not_paired(two_seeds: tuple[Run, Run], changed: dict[str, str]) -> None:
    from common.predictor import load_task

    task = load_task(two_seeds[0].folder)
    first, second = (rows_of(run) for run in two_seeds)
    assert paired_difference(first, [{**second[0], **changed}, *second[1:]], task) is None
    assert paired_difference(first, second[1:], task) is None


def test_runs_on_other_rows_stand_side_by_side_and_it_is_said(
    two_seeds: tuple[Run, Run], finished_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = compare([two_seeds[0].folder, two_seeds[1].folder, finished_run.folder])
    by_name = {block.title.split(":")[0]: block for block in blocks}
    assert "paired where a run answered the same rows as seed-0" in by_name["test"].title
    assert by_name["test"].rows[2][3:] == ["", "other rows"]
    assert by_name["radio"].title == "radio: measured in one run alone"
    alone = {block.title.split(":")[0]: block for block in compare([two_seeds[0].folder, finished_run.folder])}
    assert alone["test"].title == "test: each run answered other rows, so no difference is tested"
    assert alone["test"].columns == ["run", "rows", "accuracy"]
    print_blocks([block for block in blocks if block.title != "options that differ"])  # which has paths of any length
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) < 120 and "seed-1" in printed and "other rows" in printed


@pytest.mark.parametrize("width", [80, 40])
def test_no_number_is_broken_at_the_edge_of_a_terminal(
    two_seeds: tuple[Run, Run], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = SafeConsole(soft_wrap=True, file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    for module in (compare_module, progress):
        monkeypatch.setattr(module, "console", console)
    blocks = compare([run.folder for run in two_seeds])
    print_blocks(blocks)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    printed = printed[printed.index("accuracy in %") :]
    assert max(map(len, printed.splitlines())) <= width
    (test,) = (block for block in blocks if block.title.startswith("test"))
    assert all(cell in printed for row in test.rows for cell in row[:4])


def test_a_comparison_as_markdown_is_a_table_whatever_a_run_is_called(
    two_seeds: tuple[Run, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(two_seeds[1].folder, tmp_path / "a|b *c*")
    monkeypatch.setattr(
        "sys.argv", ["kit", "compare", str(two_seeds[0].folder), str(tmp_path / "a|b *c*"), "--markdown"]
    )
    cli.main()
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert all(line.count("|") == tables[0].count("|") for line in tables[:4])
    assert tables[1] == "| --- | --- | --- | --- | --- |" and "a&#124;b &#42;c&#42;" in tables[3]
    assert to_markdown([]) == ""


def test_what_cannot_be_compared_is_refused(two_seeds: tuple[Run, Run], tmp_path: Path) -> None:
    first = two_seeds[0].folder
    with pytest.raises(UserError, match="there is nothing to compare: name two runs or more"):
        compare([first, first])
    spans = synthetic.write_run(tmp_path / "spans", synthetic.spans(tmp_path))
    with pytest.raises(UserError, match=r"is measured by accuracy of text-classification, .*spans by F1 of token-cl"):
        compare([first, spans.folder])
    (tmp_path / "begun").mkdir()
    with pytest.raises(UserError, match="begun is not finished: only what was measured can be compared"):
        compare([first, tmp_path / "begun"])
    damaged = tmp_path / "damaged"
    shutil.copytree(first, damaged)
    (damaged / "predictions.jsonl").write_text("{")
    with pytest.raises(UserError, match=r"predictions.jsonl cannot be read \(JSONDecodeError\): `kit evaluate"):
        compare([first, damaged])
    pictures = copy.deepcopy(read_json(two_seeds[1].results))
    pictures["task"]["pipeline_tag"] = "image-classification"
    shutil.copytree(first, tmp_path / "pictures")
    write_json(tmp_path / "pictures/results.json", pictures)
    with pytest.raises(UserError, match="such numbers cannot be compared"):
        compare([first, tmp_path / "pictures"])


@pytest.mark.parametrize(
    "forged", [[], {"metric_kinds": {}}, {"metrics": []}, {"training": None}, {"out_of_domain": 7}]
)
def test_results_that_are_none_are_said_in_a_sentence(
    two_seeds: tuple[Run, Run], tmp_path: Path, forged: object
) -> None:
    first = two_seeds[0].folder
    shutil.copytree(first, tmp_path / "forged")
    results = read_json(two_seeds[0].results)
    write_json(tmp_path / "forged/results.json", {**results, **forged} if isinstance(forged, dict) else forged)
    with pytest.raises(UserError, match=r"one of .*forged comes from another version of the kit \(.*measures it again"):
        compare([first, tmp_path / "forged"])
