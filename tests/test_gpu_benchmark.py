"""The benchmark for a GPU walks its paths on a CPU."""

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks import gpu
from tests.conftest import REPOSITORY
from tests.warm import python


@pytest.mark.slow
def test_every_part_of_the_gpu_benchmark_works_small_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forked(command: list[str], cwd: Any, env: Any, timeout: float, **_: Any) -> Any:
        return python(*command[1:], cwd=cwd, env=env, timeout=timeout)

    monkeypatch.setattr(gpu, "subprocess", SimpleNamespace(run=forked, TimeoutExpired=subprocess.TimeoutExpired))
    monkeypatch.setattr("sys.argv", ["gpu", "--dry"])
    gpu.main()
    results = json.loads(capsys.readouterr().out)
    assert results["dry"] and results["parts"].keys() == gpu.PARTS.keys()
    assert results["parts"]["quick_tests"]["passed"]
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
    assert gpu.missing_packages() == []
    monkeypatch.setattr(gpu.sys, "executable", "/bin/false")
    assert gpu.in_a_process("speed", True, 10.0) == {"failed": "no word"}
