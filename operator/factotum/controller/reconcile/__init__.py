"""One look at one job at a time: the workers, their queue."""
