"""A finished model → results.json."""
