"""What every project of the kit shares: the loop, the plan of batches, checkpoints, evidence."""
