"""The pure heart: factfiles, the DAG, the run as a state machine, and its words.

Nothing in here does I/O, reads a clock or starts anything; times and random
values come in as arguments. Everything is cheap to import, because each Pod
and each cron line pays for it.
"""

COMPATIBLE_VERSION = "0.7.0"
"""The release of the original program whose behaviour this one reproduces."""
