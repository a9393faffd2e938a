"""One Gradio demo per project, built from a Predictor."""
