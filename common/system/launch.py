"""Start several processes on whatever is here.

`accelerate launch --cpu --num_processes 2` runs one process without saying so; torchrun runs two.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from common.system.errors import UserError

# Seconds for which torchrun waits for workers that a signal stops: they end their step and write a checkpoint.
SECONDS_TO_COMMIT = 600
# Seconds within which a signal that comes again is the same one, sent to kit and to its group.
SECONDS_OF_ONE_SIGNAL = 1.0


def launch(script: Path, processes: int, arguments: list[str]) -> int:
    """Run `script` in so many processes and return the exit status.

    SIGTERM, SIGHUP and Ctrl-C reach the workers, and their end is waited for; a second Ctrl-C ends them at once.
    Raises UserError where there are fewer GPUs than processes.
    """
    import torch

    count = str(processes)
    environment = {**os.environ}
    environment.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SECONDS_TO_COMMIT))
    if torch.accelerator.is_available():
        devices = torch.accelerator.device_count()
        if processes > devices:
            raise UserError(
                f"{processes} processes were asked for, but there are {devices} accelerators: "
                f"give --processes {devices}."
            )
        command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", count]
    else:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", count, "--standalone"]
    status, received = _wait([*command, str(script), *arguments], environment)
    if status and received:
        return 128 + received
    # torchrun ends with 1 whatever its workers said; a sentence has been printed by the first of them.
    return 2 if status == 1 else status


def _wait(command: list[str], environment: dict[str, str]) -> tuple[int, int]:
    """The command's exit status, and the first signal that was passed on to it (0 for none).

    It has a process group of its own, and only the first signal is passed on: `timeout` and schedulers signal a whole
    group, and workers that get the same signal twice stop without a checkpoint. A second Ctrl-C asks for that.
    """
    first, since = 0, 0.0

    def pass_on(number: int, _: FrameType | None) -> None:
        nonlocal first, since
        if not first:
            first, since = number, time.monotonic()
            child.send_signal(number)
        elif number == signal.SIGINT and time.monotonic() - since > SECONDS_OF_ONE_SIGNAL:
            _kill(child.pid)

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


def _kill(process: int) -> None:
    """End a process and all that it started, whatever groups they are in."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        for one in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
