"""Which precision, and why."""

import pytest
import torch

from common.system import hardware
from common.system.errors import UserError
from common.system.hardware import choose_precision


@pytest.mark.parametrize(
    ("asked", "device", "launched", "bf16_cpu", "capability", "expected"),
    [
        ("auto", "cpu", "", True, None, "bf16"),
        ("auto", "cpu", "", False, None, "fp32"),
        ("bf16", "cpu", "", False, None, "bf16"),
        ("fp32", "cpu", "", True, None, "fp32"),
        ("auto", "cpu", "no", True, None, "bf16"),
        ("auto", "cpu", "bf16", False, None, "bf16"),
        ("auto", "cuda", "", False, (7, 5), "fp16"),
        ("auto", "cuda", "", False, (8, 0), "bf16"),
        ("auto", "cuda", "fp16", False, (9, 0), "fp16"),
        ("fp16", "cuda", "", False, (9, 0), "fp16"),
        ("auto", "mps", "", False, None, "fp32"),
    ],
)
def test_precision(
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    device: str,
    launched: str,
    bf16_cpu: bool,
    capability: tuple[int, int],
    expected: str,
) -> None:
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: bf16_cpu)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    chosen = choose_precision(asked, device, launched)
    assert chosen.name == expected
    assert chosen.reason


@pytest.mark.parametrize(
    ("asked", "device", "launched"), [("fp16", "cpu", ""), ("auto", "cpu", "fp16"), ("bf16", "cuda", "")]
)
def test_what_the_hardware_cannot_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, asked: str, device: str, launched: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    with pytest.raises(UserError, match="--precision"):
        choose_precision(asked, device, launched)


def test_torch_built_for_a_gpu_that_is_not_here_computes_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pip install torch` brings on Linux names cuda whether or not there is one."""

    def built_for_cuda(check_available: bool = False) -> torch.device | None:
        return None if check_available else torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", built_for_cuda)
    assert hardware.default_device() == torch.device("cpu")


def test_one_process_where_several_were_to_be_launched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    hardware._check_launcher()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(UserError, match="was told to start several processes and has started one"):
        hardware._check_launcher()
    monkeypatch.setenv("WORLD_SIZE", "2")
    hardware._check_launcher()


def test_freed_memory_can_be_reused_here() -> None:
    hardware.reuse_freed_memory(torch.device("cpu"))
    assert torch.ones(1_000_000).sum() == 1_000_000


@pytest.mark.parametrize(
    ("launcher", "threads", "processes", "expected"),
    [("1", "1", 1, 6), ("1", "1", 2, 3), ("1", "4", 1, 1), ("", "1", 1, 1)],
)
def test_a_launcher_leaves_no_core_idle(
    monkeypatch: pytest.MonkeyPatch, launcher: str, threads: str, processes: int, expected: int
) -> None:
    """`accelerate launch` gives a CPU process one thread; a number that somebody chose stays."""
    before = torch.get_num_threads()
    monkeypatch.setattr(hardware.os, "cpu_count", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if launcher:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    try:
        torch.set_num_threads(1)
        hardware.use_all_cores(torch.device("cpu"), processes)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
