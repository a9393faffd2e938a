"""What is here: device, processes, which precision and why, memory."""

import ctypes
import os
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.system.errors import UserError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

# With these instructions bf16 halves the time of a step on a CPU; without them it is emulated and slower.
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Precision:
    """A number format and the reason why it was chosen."""

    name: str
    reason: str


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 matrices in hardware."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(name in flags for name in BF16_INSTRUCTIONS)


def choose_precision(asked: str, device_type: str, launched_with: str = "") -> Precision:
    """The precision for `asked` (auto, fp32, bf16, fp16) on a device type (cpu, cuda, mps, ...).

    `launched_with` is what `accelerate launch` was told; `auto` honours it.
    Raises UserError where the hardware cannot do what was asked.
    """
    import torch

    if asked == "auto" and launched_with in ("fp16", "bf16"):
        chosen = choose_precision(launched_with, device_type)
        return Precision(chosen.name, "accelerate launch asked for it")
    if device_type == "cpu":
        if asked == "fp16":
            raise UserError("--precision fp16 needs a GPU: on this CPU give --precision auto, fp32 or bf16.")
        if asked == "auto":
            if cpu_has_bf16():
                return Precision("bf16", "this CPU multiplies bf16 in hardware")
            return Precision("fp32", "this CPU has no bf16 instructions")
    if device_type == "cuda" and asked in ("auto", "bf16"):
        if torch.cuda.get_device_capability()[0] >= 8:
            return Precision("bf16", "this GPU multiplies bf16 in hardware")
        if asked == "bf16":
            raise UserError("--precision bf16 needs a GPU of compute capability 8.0 or more: give --precision fp16.")
        return Precision("fp16", "this GPU has fp16 but no bf16 units; the loss is scaled")
    if asked == "auto":
        return Precision("fp32", f"the safe choice on {device_type}")
    return Precision(asked, "asked for")


def autocast_dtype(precision: str) -> "torch.dtype | None":
    """The dtype to autocast to; None for fp32."""
    import torch

    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def default_device() -> "torch.device":
    """The accelerator of this machine, or its CPU, also where torch was built for an accelerator that is not here."""
    import torch

    return torch.device(torch.accelerator.current_accelerator(check_available=True) or "cpu")


def default_precision() -> str:
    """The name of the precision that `auto` is on `default_device`."""
    return choose_precision("auto", default_device().type).name


def autocast(device: "torch.device", precision: str) -> "torch.autocast":
    """Autocast to a precision; for fp32 a context that changes nothing."""
    import torch

    dtype = autocast_dtype(precision)
    return torch.autocast(device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def make_accelerator(precision: str, processes: int | None) -> "tuple[Accelerator, Precision]":
    """The Accelerator of this process, and the precision it runs in.

    Under torchrun on a machine without a GPU a plain Accelerator() makes two worlds of one process each;
    `cpu=True` joins them. Raises UserError where the number of processes is not what was launched or asked.
    """
    from datetime import timedelta

    import torch
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    _check_launcher()
    on_cpu = not torch.accelerator.is_available()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device_type = "cpu" if on_cpu else torch.accelerator.current_accelerator().type  # type: ignore[union-attr]
    chosen = choose_precision(precision, device_type, os.environ.get("ACCELERATE_MIXED_PRECISION", ""))
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if chosen.name == "fp32" else chosen.name,
        gradient_accumulation_steps=1,
        # Rank 0 prepares the data while the others wait.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=6))],
    )
    expected = processes or world
    if accelerator.num_processes != expected or world != expected:
        raise UserError(
            f"{expected} processes were asked for but {accelerator.num_processes} run: "
            f"start them with `kit train PROJECT --processes {expected}`."
        )
    if accelerator.gradient_accumulation_steps != 1:
        raise UserError("unset ACCELERATE_GRADIENT_ACCUMULATION_STEPS: --micro_batch_size decides the accumulation.")
    return accelerator, chosen


def precision_of(accelerator: "Accelerator") -> str:
    """The name of the precision that an accelerator's models run in."""
    return "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision


def _check_launcher() -> None:
    """Raise UserError where `accelerate launch` was told of several processes and, as it does on a CPU, started one.

    It names the address of the first process only where there are more, and the rank of each only where they run.
    """
    several = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_ADDR" in os.environ
    if several and "WORLD_SIZE" not in os.environ:
        raise UserError(
            "accelerate launch was told to start several processes and has started one, as it does on a CPU: "
            "start them with `kit train PROJECT --processes N`."
        )


def use_all_cores(device: "torch.device", processes: int) -> None:
    """Share this machine's cores out over the processes where a launcher has left each with one thread.

    `accelerate launch` and torchrun set OMP_NUM_THREADS to 1 where nobody did, which on a CPU leaves all
    cores but one idle. A larger number was somebody's choice and stays.
    """
    import torch

    launched = "ACCELERATE_MIXED_PRECISION" in os.environ or "TORCHELASTIC_RUN_ID" in os.environ
    if device.type == "cpu" and launched and os.environ.get("OMP_NUM_THREADS") == "1":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def reuse_freed_memory(device: "torch.device") -> None:
    """Let glibc keep the memory of a CPU's freed tensors instead of giving it back to the system after each.

    Every step frees and takes hundreds of megabytes; asking the kernel for them anew, page by page, costs about a
    seventh of the step. Does nothing with other C libraries.
    """
    if device.type != "cpu" or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, 2**31 - 1)


def peak_memory_bytes(device: "torch.device") -> int:
    """Peak memory of this process: of the GPU where there is one, else resident (ru_maxrss)."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts bytes there, kibibytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available_memory_bytes(device: "torch.device") -> int:
    """Memory that can still be taken on the device."""
    import psutil
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def describe(device: "torch.device") -> dict[str, Any]:
    """The hardware in words and numbers, for the manifest."""
    import psutil
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "device": name if device.type == "cuda" else f"{name}, {os.cpu_count()} cores",
        "device_type": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
