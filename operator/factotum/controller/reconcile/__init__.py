"""One look at one job at a time: the workers, their queue, and the ledger of locks."""
