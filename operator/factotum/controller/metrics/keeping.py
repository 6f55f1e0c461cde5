"""The figures put together: what is counted where, and what is read when somebody asks."""

from collections.abc import Callable, Sized

from factotum.controller.claims.door import Door
from factotum.controller.clock import Clock
from factotum.controller.facts.cache import Cache
from factotum.controller.metrics.courses import Courses
from factotum.controller.metrics.figures import Figures
from factotum.controller.mirror.feeding import ConsulMirror
from factotum.controller.queue.slots import Slots
from factotum.controller.work_queue import WorkQueue
from factotum.kube.resource import JobUid


class Keeping:
    """Everything that is measured of one operator."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.figures = Figures()
        self.courses = Courses(self.figures, cache, clock)
        cache.subscribe(self.courses)

    def workers(self, slots: Slots, limit: int) -> None:
        """Tell of the workers and the queue for them."""
        read = self.figures.read
        read("workers_busy", "Workers that jobs hold.", lambda: len(slots))
        read("workers_limit", "Workers that there are (--max-workers).", lambda: limit)
        read("workers_queue_length", "Jobs that wait for a worker.", lambda: slots.waiting)

    def looks(
        self, queue: WorkQueue[JobUid], longest: Callable[[], float], open_pages: Sized
    ) -> None:
        """Tell of the jobs that are to be looked at."""
        read = self.figures.read
        read("work_queue_depth", "Jobs that are to be looked at now.", lambda: len(queue))
        read(
            "work_queue_oldest_seconds",
            "How long the job that came first waits for its look, or is in it.",
            queue.oldest_seconds,
        )
        read("reconcile_longest_seconds", "How long the longest look goes on.", longest)
        read("jobs_in_memory", "Unfinished jobs that are remembered.", lambda: len(open_pages))

    def claims(self, door: Door) -> None:
        """Tell of the connections on the claims port."""
        read = self.figures.read
        read("claims_connections", "Connections on the claims port.", lambda: len(door))
        read("claims_connections_limit", "Connections it takes.", lambda: door.places)

    def mirror(self, mirror: ConsulMirror) -> None:
        """Tell how far Consul is behind."""
        read = self.figures.read
        read("mirror_reachable", "1 while Consul answers.", lambda: mirror.reachable)
        read("mirror_pending", "Entries that are to be compared with their jobs.", mirror.pending)
        read(
            "mirror_lag_seconds",
            "How long the oldest change is not written to Consul.",
            mirror.lag_seconds,
        )
