"""One Gradio demo per project, built from a Predictor, and one of the lessons."""

import os

# Read while gradio is imported: no visitor and no start is reported anywhere.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
