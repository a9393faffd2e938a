"""results.json → what people read."""
