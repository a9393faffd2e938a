"""The benchmark for a GPU walks its paths on a CPU."""

import json
import os
import subprocess
import sys

import pytest

from tests.benchmarks.gpu import PARTS, REPOSITORY, missing_packages


@pytest.mark.slow
def test_every_part_of_the_gpu_benchmark_works_small_on_a_cpu() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--dry"]
    asked = subprocess.run(
        command, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, timeout=900, check=False
    )
    assert asked.returncode == 0, asked.stderr
    results = json.loads(asked.stdout)
    assert results["dry"] and results["parts"].keys() == PARTS.keys()
    assert results["parts"]["out_of_memory"] == {"global_batch": 64, "micro_batch": 8}
    assert results["parts"]["same_losses"]["largest_relative_difference"] == 0
    assert all(part["bit_equal"] for part in results["parts"]["resume"].values())
    starters = {path.parent.name for path in REPOSITORY.glob("projects/*/starter.yaml")}
    assert results["parts"]["starters"].keys() == starters
    assert all(part["fp32"]["finite"] for part in results["parts"]["starters"].values())
    assert set(results["parts"]["speed"]["minilm"]["the_kit_over"]) == {
        "the kit",
        "Trainer, best settings",
        "Trainer, defaults",
    }


def test_a_part_that_fails_is_named_and_no_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.benchmarks import gpu

    assert missing_packages() == []
    monkeypatch.setattr(gpu.sys, "executable", "/bin/false")
    assert gpu.in_a_process("speed", True, 10.0) == {"failed": "no word"}
