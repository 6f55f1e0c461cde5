"""Every figure that this operator keeps, by name. One registry an operator, none for the process.

Labels hold words of closed sets only: what a user can choose, a name, a
namespace or an id, would make as many series as there are users' ideas. The
reference lists them all; a test holds the two together.
"""

import platform
from collections.abc import Callable
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

import factotum

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_START: Final = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_RUN: Final = (0.5, 1, 2.5, 5, 15, 30, 60, 300, 900, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600)


class Figures:
    """The figures that are counted as things happen. Implements ``Recorder``.

    Attributes:
        registry: what is told to Prometheus.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_the_process()
        self._of_looks()
        self._of_jobs()
        self._of_requests()

    def _of_the_process(self) -> None:
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        build = self._gauge("build_info", "The operator's version; always 1.", "version", "python")
        build.labels(factotum.__version__, platform.python_version()).set(1)
        self._leader = self._gauge("leader", "1 while this operator is the one that acts.")

    def _of_looks(self) -> None:
        self._looks = self._histogram(
            "reconcile_seconds",
            "How long looks at jobs took, questions and writes included.",
            _QUICK,
        )
        errors = self._counter(
            "reconcile_errors",
            "Looks at jobs that failed: the API server's answer, or a fault of ours.",
            "kind",
        )
        self._errors = {kind: errors.labels(kind) for kind in ("api", "internal")}
        events = self._counter(
            "events",
            "Kubernetes Events: created, counted on an older one, dropped as too many, failed.",
            "result",
        )
        self._events = {
            result: events.labels(result) for result in ("created", "counted", "dropped", "failed")
        }

    def _of_jobs(self) -> None:
        self.finished = self._counter("jobs_finished", "Jobs that ended.", "outcome", "reason")
        self.pod_after = self._histogram(
            "job_pod_seconds", "From when a job was first seen to its first Pod.", _START
        )
        self.waited = self._histogram(
            "job_queue_seconds",
            "How long jobs waited for a worker; 0 for those that did not.",
            _START,
        )
        self.claim_after = self._histogram(
            "job_claim_seconds",
            "From a Pod's creation to its claim: scheduling, images, start.",
            _START,
        )
        self.run = self._histogram(
            "job_run_seconds", "From an attempt's claim to its verdict.", _RUN, "outcome"
        )

    def _of_requests(self) -> None:
        self.api_requests = self._counter(
            "api_requests", "Requests to the API server.", "verb", "resource", "code"
        )
        self.api_seconds = self._histogram(
            "api_request_seconds",
            "How long they took, watches left out.",
            _QUICK,
            "verb",
            "resource",
        )
        self.claims_requests = self._counter(
            "claims_requests", "Requests of Pods: claims and reports, by answer.", "kind", "code"
        )
        self.claims_seconds = self._histogram(
            "claims_request_seconds", "How long they took.", _QUICK, "kind"
        )
        self.consul_requests = self._counter(
            "consul_requests", "Requests to Consul, by how they ended.", "operation", "result"
        )
        self.consul_seconds = self._histogram(
            "consul_request_seconds", "How long they took.", _QUICK, "operation"
        )

    def read(self, name: str, text: str, value: Callable[[], float], **labels: str) -> None:
        """Keep a gauge that is read when somebody asks."""
        gauge = self._gauge(name, text, *labels)
        (gauge.labels(**labels) if labels else gauge).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"factotum_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"factotum_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"factotum_{name}", text, labels, buckets=buckets, registry=self.registry)

    # --- Recorder ---------------------------------------------------------------------

    def looked(self, seconds: float, failure: str) -> None:
        """Count a look at a job."""
        self._looks.observe(seconds)
        if failure:
            self._errors[failure].inc()

    def told(self, answer: str) -> None:
        """Count an Event."""
        self._events[answer].inc()

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001 - Recorder
        """Note whether this operator is the one that acts."""
        self._leader.set(is_leader)
