"""Start several processes on whatever is here.

`accelerate launch --cpu --num_processes 2` runs one process without saying so; torchrun runs two.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from common.system.errors import UserError

# Seconds for which torchrun waits for workers that a signal stops: they end their step and write a checkpoint.
SECONDS_TO_COMMIT = 600


def launch(script: Path, processes: str, arguments: list[str]) -> int:
    """Run `script` in so many processes and return the exit status.

    SIGTERM, SIGHUP and Ctrl-C reach the workers, and their end is waited for.
    Raises UserError where there are fewer GPUs than processes.
    """
    import torch

    if not processes.isdigit() or int(processes) < 1:
        raise UserError(f"--processes must be a whole number from 1 up, not {processes}.")
    count = int(processes)
    environment = {**os.environ}
    environment.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SECONDS_TO_COMMIT))
    if torch.accelerator.is_available():
        devices = torch.accelerator.device_count()
        if count > devices:
            raise UserError(
                f"{count} processes were asked for, but there are {devices} accelerators: give --processes {devices}."
            )
        command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", processes]
    else:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", processes, "--standalone"]
    status, received = _wait([*command, str(script), *arguments], environment)
    if status and received:
        return 128 + received
    # torchrun ends with 1 whatever its workers said; a sentence has been printed by the first of them.
    return 2 if status == 1 else status


def _wait(command: list[str], environment: dict[str, str]) -> tuple[int, int]:
    """The command's exit status, and the first signal that was passed on to it (0 for none).

    It has a process group of its own, and each signal is passed on once: `timeout` and schedulers signal a whole
    group, and workers that get the same signal twice stop without a checkpoint.
    """
    first = 0

    def pass_on(number: int, _: FrameType | None) -> None:
        nonlocal first
        first = first or number
        signal.signal(number, signal.SIG_IGN)
        child.send_signal(number)

    child = subprocess.Popen(command, env=environment, process_group=0)
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        if signal.getsignal(number) != signal.SIG_IGN
    ]
    before = {number: signal.signal(number, pass_on) for number in numbers}  # nohup's SIGHUP stays ignored
    try:
        return child.wait(), first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
