"""What controller and Pod say to each other: both sides spell it here, and nowhere else."""
