"""A project that no file of the kit knows: a number for a text, scored by its mean absolute error."""
