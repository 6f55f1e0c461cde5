"""What an operator of the Kubernetes backend may choose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Where and how much.

    Attributes:
        namespace: in which FactotumJobs are made; only its jobs are shown.
        workers: how many attempts the operator runs at once: for show.
        max_waiting: how many jobs may wait before a submission is refused.
        keep_seconds: how long an ended job is kept; None: as the operator is told.
        name: what entries that are made here call their server (``lastRunFrom``).
        key_prefix: what a job id may begin with when it is looked up.
    """

    namespace: str
    workers: int = 20
    max_waiting: int = 1000
    keep_seconds: int | None = None
    name: str = "factotum"
    key_prefix: str = "com.snowplowanalytics/factotum"
