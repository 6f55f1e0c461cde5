"""The job server: beside one that is written in an afternoon, with Consul, and on a cluster.

``python -m benchmarks job_server`` takes some minutes, ``python -m benchmarks.job_server --help``
says what else can be measured: memory after 100,000 jobs, for one.
"""

from benchmarks.measuring import Report


def measure(report: Report, *, quick: bool) -> None:
    """Measure all parts in the usual sizes."""
    from benchmarks.job_server import plans  # noqa: PLC0415 - the parts need this package

    plans.measure(report, plans.Plan.quick() if quick else plans.Plan())
