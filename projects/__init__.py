"""One folder per project; each says only what is particular to it."""
