"""One Gradio demo per project, built from a Predictor, and one of the lessons."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _own_folder() -> str:
    """A folder of this process for all that visitors send and get, which goes when the process ends."""
    parent = os.environ.get("GRADIO_TEMP_DIR") or None
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="demo-", dir=parent)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# All are read by gradio; the first while it is imported: no visitor and no start is reported anywhere.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Its statistics, anew with each request, cost more the longer a demo runs, and nobody sees them.
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
os.environ["GRADIO_TEMP_DIR"] = _own_folder()
