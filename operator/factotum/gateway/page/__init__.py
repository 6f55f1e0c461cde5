"""The page: files for browsers. It talks to v1 like everybody else."""
