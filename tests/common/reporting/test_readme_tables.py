"""Tables of README files, for metrics of any kind."""

from pathlib import Path
from typing import Any

import pytest

from common.portfolio import Portfolio
from common.reporting import readme
from common.reporting.picture import describe
from common.reporting.readme import keep_results, write_readme
from common.reporting.readme_benchmarks import (
    claims_list,
    curve_table,
    lora_table,
    negatives_table,
    streams_line,
    visitors_line,
)
from common.reporting.readme_runs import (
    elsewhere_table,
    headline,
    outside_list,
    runs_table,
    seeds_table,
    sets_table,
)
from common.reporting.wording import elsewhere, plain
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json, write_json
from tests.common.reporting import synthetic
from tests.common.reporting.synthetic import interval


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in plain(table).splitlines()]


def test_a_table_of_runs_has_a_column_for_every_baseline(tmp_path: Path) -> None:
    classifier = synthetic.classifier()
    frozen = {"title": "frozen encoder + logistic regression", "short": "frozen"}
    other = synthetic.classifier() | {"out_of_domain": {}, "baseline_titles": {"frozen": frozen}}
    other["baselines"] = {"frozen": {metric: interval(0.78) for metric in other["metrics"]}}
    table = cells(runs_table({"starter": classifier, "other": other, "speed": {"loops": {}}}))
    assert table[0] == [
        "run: test set",
        "rows",
        "fine-tuned (accuracy)",
        "majority",
        "words",
        "frozen",
        "against the best baseline",
    ]
    assert table[2] == [
        "starter: test",
        "2,014",
        "86.4 % (84.9 to 87.9)",
        "50.4 %",
        "79.8 %",
        "",
        "+6.6 points (+4.7 to +8.5), p < 0.001",
    ]
    assert [row[0] for row in table[3:]] == ["starter: tweets", "starter: letters", "other: test"]
    assert table[-1][3:6] == ["", "", "78.0 %"]
    assert runs_table({}) == "Nothing is measured yet."


def test_what_is_said_of_other_domains_follows_from_the_results() -> None:
    said = plain(outside_list({"films_2": synthetic.classifier(), "essays": synthetic.regression(), "speed": {}}))
    assert said.splitlines() == [
        f"- films_2: {plain(elsewhere(synthetic.classifier()))}",
        f"- essays: {plain(elsewhere(synthetic.regression()))}",
    ]
    assert outside_list({"one": synthetic.classifier() | {"out_of_domain": {}}}) == "Nothing is measured yet."


def test_a_run_without_baselines_has_empty_cells() -> None:
    alone = synthetic.classifier() | {"comparison": None, "baselines": {}, "baseline_titles": {}, "out_of_domain": {}}
    assert cells(runs_table({"films": alone}))[2] == ["films: test", "2,014", "86.4 % (84.9 to 87.9)", ""]
    assert len(cells(seeds_table({"films-seed1": alone, **seeds(synthetic.classifier, "accuracy", [0.9], 0.01)}))) == 3


def test_runs_of_different_metrics_each_name_theirs() -> None:
    error = cells(runs_table({"essays": synthetic.regression()}))
    assert error[0][2] == "fine-tuned (mean absolute error, lower is better)"
    assert error[2] == ["essays: test", "2,014", "1.42 (1.31 to 1.53)", "1.77", "-0.35 (-0.41 to -0.29), p < 0.001"]
    mixed = cells(runs_table({"essays": synthetic.regression(), "films": synthetic.classifier()}))
    assert mixed[0][2] == "fine-tuned"
    assert mixed[2][2] == "mean absolute error, lower is better: 1.42 (1.31 to 1.53)"


def seeds(make: Any, metric: str, values: list[float], spread: float) -> dict[str, Any]:
    runs = {}
    for seed, value in enumerate(values, start=3):
        runs[f"essays-seed{seed}"] = result = make()
        result["metrics"][metric] = interval(value, spread)
    return runs


def test_seeds_of_an_exact_metric_have_mcnemars_test() -> None:
    table = cells(seeds_table(seeds(synthetic.classifier, "accuracy", [0.9364, 0.9406, 0.9406], 0.01)))
    assert table[0] == ["run", "test accuracy", "words", "only one right", "McNemar p", "training"]
    assert table[2] == ["essays, seed 3", "93.64 %", "79.80 %", "266 : 141", "1e-09", "4.3 min"]
    assert table[-1] == ["**essays, mean ± sd**", "**93.92 ± 0.24 %**", "", "", "", ""]


def test_seeds_of_other_metrics_have_a_p_value() -> None:
    table = cells(seeds_table(seeds(synthetic.regression, "mean_absolute_error", [1.42, 1.40], 0.11)))
    assert table[0] == ["run", "test mean absolute error, lower is better", "mean", "p", "training"]
    assert table[2] == ["essays, seed 3", "1.420", "1.770", "0.0005", "4.3 min"]
    assert table[-1][1] == "**1.410 ± 0.014**"


def test_results_are_kept_and_fill_the_readme(pages: dict[str, Run], tmp_path: Path) -> None:
    project = tmp_path / "regression"
    project.mkdir()
    (project / "README.md").write_text("# Essays\n\n<!-- results: runs -->\n<!-- end -->\n", encoding="utf-8")
    (project / "tiny.yaml").write_text("# measured: nothing yet\nepochs: 1\n", encoding="utf-8")
    kept = keep_results(pages["regression"].folder, project)
    assert kept == project / "results/tiny.json" and "input" not in read_json(kept)["worst_errors"][0]
    with pytest.raises(UserError, match="does not show what the results say"):
        write_readme(project, only_check=True)
    assert write_readme(project) == "README.md, tiny.yaml written from 1 result files"
    assert "| tiny: test | 2,014 | 1.42 (1.31 to 1.53) | 1.77 |" in (project / "README.md").read_text(encoding="utf-8")
    assert (project / "tiny.yaml").read_text(encoding="utf-8") == (
        "# measured: mean absolute error 1.42 (1.31 to 1.53) on 2,014 test rows; training 4.3 min, 2.0 GiB, "
        "on a CPU, 2 cores (fp32)\nepochs: 1\n"
    )
    write_json(kept, synthetic.classifier())
    with pytest.raises(UserError, match="is a run of regression, not of classifier"):
        keep_results(pages["regression"].folder, tmp_path / "classifier")


def test_a_headline_is_the_question_the_result_and_its_picture() -> None:
    results = synthetic.classifier() | {"portfolio": {"question": 'Is it *good*? "Yes"'}}
    said = plain(headline({"starter": results, "speed": {}}))
    assert said.startswith('**Is it &#42;good&#42;? "Yes"** The fine-tuned model gets 86.4 % (84.9 to 87.9) of 2,014')
    assert "worse on tweets (-7.8 points)" in said
    assert '<img src="results/starter-light.svg"' in said and 'srcset="results/starter-dark.svg"' in said
    assert 'alt="Is it *good*? &quot;Yes&quot; The fine-tuned' in said


def test_losses_stand_in_the_table_of_test_sets() -> None:
    rows = cells(sets_table({"starter": synthetic.classifier()}))
    assert rows[0] == ["test set", "rows", "fine-tuned (accuracy)", "best baseline", "difference"]
    assert rows[2:] == [
        ["test", "2,014", "86.4 %", "79.8 % (words)", "+6.6 points (+4.7 to +8.5): better"],
        ["tweets", "3,432", "66.7 %", "79.8 % (words)", "-7.8 points (-9.3 to -6.3): **worse**"],
        ["letters", "3,432", "66.7 %", "79.8 % (words)", "+1.1 points (-0.4 to +2.6): not clearly different"],
    ]


def test_what_was_measured_of_the_kit_is_said_with_its_numbers() -> None:
    loops = {"the kit": {"ratio": 1}, "Trainer, best": {"ratio": 1.18}, "Trainer, defaults": {"ratio": 3.44}}
    runs = {"10000": {"peak_anonymous_bytes": 100 * 2**20}, "1000000": {"peak_anonymous_bytes": 200 * 2**20}}
    said = claims_list(
        {
            "speed": {"loops": loops, "what": "One epoch of some rows; of the loop alone."},
            "resume_kills": {"kills": 20, "identical": 19},
            "memory": {"runs": runs},
            "visitors": {
                **{"visitors": 32, "minutes": 10.0, "device": "a machine", "p95_seconds": 1.24},
                **{"memory_share_off_median": 0.04, "memory_mib": {"median": 900.4}},
            },
        }
    )
    assert plain(said).splitlines() == [
        "- Speed: **1.18 times** as fast as Trainer, best and **3.44 times** as fast as Trainer, defaults, "
        "in one epoch of some rows.",
        "- Resume: of **20** runs killed at random moments, **19** went on and ended with the same bits as a run that "
        "was never stopped.",
        "- Memory: **1,000,000 rows** take 200 MiB to train on, 10,000 rows 100 MiB.",
        "- Demo: **32 visitors** and one who floods it, for 10 minutes on a machine: 95 % of their answers came within "
        "1.2 s, and its memory stayed within 4 % of 900 MiB.",
    ]


def test_what_visitors_wait_is_said_with_what_the_demo_held() -> None:
    figures = {"minutes": 10.0, "visitors": 32, "flood": 60, "questions": 4_000, "said": {"visitor: answer": 3_990}}
    seconds = {"p50_seconds": 0.31, "p95_seconds": 1.24, "slowest_seconds": 2.96}
    memory = {"memory_mib": {"median": 900.4, "least": 880.0, "most": 950.2}}
    said = plain(visitors_line({"visitors": {"device": "a machine, 2 cores", **figures, **seconds, **memory}}))
    assert said.startswith("On a machine, 2 cores, clients included, 10 minutes: 32 visitors ask a question every few")
    assert "Of the 4,000 questions of the 32, 99.8 % were answered, half within 0.3 s, 95 % within 1.2 s" in said
    assert said.endswith("held 900 MiB of memory, 880 at least and 950 at most.")


def test_the_repositorys_readme_has_blocks_of_each_project_and_an_overview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is written with its project, those of the others are left alone; pictures follow the author's words."""
    words = {"films": {"question": "Do they like it?"}}
    monkeypatch.setattr(readme, "read_portfolio", lambda: Portfolio({"author": "Ada"}, words))
    blocks = "".join(f"<!-- results: {name} -->\n<!-- end -->\n" for name in ("films/sets", "projects", "essays/sets"))
    front = tmp_path / "README.md"
    front.write_text(blocks, encoding="utf-8")
    for name, results in (("films", synthetic.classifier()), ("essays", None)):
        project = tmp_path / "projects" / name
        (project / "results").mkdir(parents=True)
        (project / "task.py").touch()
        (project / "README.md").write_text("<!-- results: headline -->\n<!-- end -->\n", encoding="utf-8")
        if results:
            write_json(project / "results/starter.json", results)
    films = tmp_path / "projects/films"
    with pytest.raises(UserError, match=r"starter-light\.svg"):
        write_readme(films, only_check=True)
    assert write_readme(films) == (
        "README.md, README.md, results/starter-light.svg, results/starter-dark.svg written from 1 result files"
    )
    write_readme(films, only_check=True)
    text = plain(front.read_text(encoding="utf-8"))
    assert "| tweets | 3,432 | 66.7 % |" in text
    assert "<!-- results: essays/sets -->\n<!-- end -->" in text
    assert (
        "| [`essays`](projects/essays/README.md) | Nothing is measured yet. |  |  |  |\n"
        "| [`films`](projects/films/README.md) | Do they like it? | accuracy 86.4 % (84.9 to 87.9) | "
        "+6.6 points against words | tweets, 66.7 % |"
    ) in text
    write_readme(tmp_path / "projects/essays")
    assert "<!-- results: essays/sets -->\n\nNothing is measured yet." in front.read_text(encoding="utf-8")
    words["films"]["question"] = "Is it good?"
    write_readme(films, only_check=True)
    write_readme(films)
    results = read_json(films / "results/starter.json")
    assert results["portfolio"]["question"] == "Is it good?" and describe(results).endswith("By Ada.")
    assert describe(results) in (films / "results/starter-dark.svg").read_text(encoding="utf-8")
    assert "**Is it good?** The fine-tuned" in (films / "README.md").read_text(encoding="utf-8")
    (films / "results/starter-light.svg").write_text("another", encoding="utf-8")
    with pytest.raises(UserError, match=r"starter-light\.svg"):
        write_readme(films, only_check=True)


def test_a_learning_curve_stands_beside_what_others_published() -> None:
    found = {"f1": 0.5, "precision": 0.6, "recall": 0.4, "minutes": 2.0, "device": "a machine", "computed_in": "bf16"}
    parts = {"1/8": {**found, "sentences": 1_025}, "1/1": {**found, "sentences": 8_198}}
    table = curve_table({"learning_curve": {"what": "W", "parts": parts, "published": {"Other": {"1/1": 0.96}}}})
    assert [row[:6] for row in cells(table)[4:]] == [
        ["1/8", "1,025", "0.500", "0.600", "0.400", ""],
        ["1/1", "8,198", "0.500", "0.600", "0.400", "0.96"],
    ]


def test_runs_on_a_set_that_is_none_of_theirs_have_a_table() -> None:
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    run = {"questions": 1_190, "f1": share, "exact_match": share, "no_answer_said": 0.25}
    table = elsewhere_table({"elsewhere": {"what": "W", "runs": {"people": run}}})
    assert cells(table)[-1] == ["people", "1,190", *["50.0 % (40.0 % to 60.0 %)"] * 2, "25.0 %"]


def test_a_batch_of_negatives_is_said_with_its_memory() -> None:
    one = {"peak_memory_bytes": 3 * 2**30, "seconds_a_step": 2.04, "device": "a CPU", "precision": "bf16"}
    said = negatives_table({"negatives": {"micro_batch_size": 128, "steps": 2, "sizes": {"1024": one}}})
    assert "2 steps, micro-batches of at most 128 examples" in said
    assert "| 1,024 | 3.00 GiB | 2.0 s | a CPU (bf16) |" in said


def test_adapters_stand_beside_those_of_another_loop_and_streams_are_counted() -> None:
    runs = {
        name: [{"tokens": 100, "seconds": seconds, "peak_bytes": peak * 2**30, "loss": 1.0} for seconds in (2, 1, 4)]
        for name, peak in (("the kit", 3), ("another", 4))
    }
    said = lora_table(
        {"lora": {"what": "A.", "runs": runs, "ratios": {"tokens_per_second": 1.04, "peak_memory": 0.75}}}
    )
    assert "| another | 50 | 100 | 25 | **50** | 4.00 GiB |" in said and "1.04 times as fast, and takes 0.75" in said
    streams = {
        "device": "a machine",
        "visitors": 8,
        "answers": 9,
        "problems": {"late": 1},
        "as_measured": 7,
        "others": 1,
    }
    streams |= {"others_where_two_tokens_were_as_likely": 1, "seconds": {"median": 2.0, "slowest": 3.0}}
    said = streams_line({"streams": {**streams, "first_word_seconds": {"median": 0.5}}})
    assert "8 visitors at once ask 10 prompts" in said and "9 were answered" in said and "within 3.0 s; 7 got" in said
    assert "1 another where two tokens were nearly as likely, and 1 another one." in said
