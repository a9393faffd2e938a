"""The loop that fine-tunes every project's model, and what it writes down."""
