"""Start several processes on whatever is here.

`accelerate launch --cpu --num_processes 2` runs one process without saying so; torchrun runs two.
"""

import os
import subprocess
import sys
from pathlib import Path

from common.errors import UserError


def launch(script: Path, processes: str, arguments: list[str]) -> int:
    """Run `script` in so many processes and return the exit status.

    Raises UserError where there are fewer GPUs than processes.
    """
    import torch

    if not processes.isdigit() or int(processes) < 1:
        raise UserError(f"--processes must be a whole number from 1 up, not {processes}.")
    count = int(processes)
    environment = {**os.environ}
    if torch.accelerator.is_available():
        devices = torch.accelerator.device_count()
        if count > devices:
            raise UserError(f"{count} processes were asked for, but there are {devices} accelerators: give --processes {devices}.")
        command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", processes]
    else:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", processes, "--standalone"]
    status = subprocess.run([*command, str(script), *arguments], env=environment, check=False).returncode
    # torchrun ends with 1 whatever its workers said; a sentence has been printed by the first of them.
    return 2 if status == 1 else status
