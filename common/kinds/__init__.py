"""What all projects of one kind of task share."""
