"""The user's files → checked rows → features → batches."""
