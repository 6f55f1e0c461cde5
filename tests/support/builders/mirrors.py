"""Jobs as the mirror sees them, and a source of them that a test can change at will."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from factotum.controller.mirror.rules import MirrorView
from factotum.persistence.entries import EntrySettings, JobKey

US = "factotum-operator-test"
OTHER = "old-server"
JOB_ID = "6ef5cf55f2815a098695861ec5f8e9c7122dd2e5339cf954d7e2cb2e761dd583"


def view(  # noqa: PLR0913 - a builder: every argument has its default
    name: str,
    state: str,
    outcome: str = "",
    *,
    created: int = 0,
    completed: int | None = None,
    holds: bool = False,
    ran: bool = True,
    job_id: str = JOB_ID,
    namespace: str = "pipelines",
) -> MirrorView:
    """Describe one job; times are seconds of one minute."""
    return MirrorView(
        uid=f"uid-{name}",
        namespace=namespace,
        name=name,
        job_id=job_id,
        state=state,
        outcome=outcome or {"QUEUED": "WAITING", "WORKING": "RUNNING"}.get(state, "SUCCEEDED"),
        created=f"2026-01-01T00:00:{created:02}Z",
        completed=None if completed is None else f"2026-01-01T00:00:{completed:02}Z",
        holds=holds,
        ran=ran,
        spec={"factfile": {}},
    )


def settings(prefix: str = "com.snowplowanalytics/factotum") -> EntrySettings:
    """Name entries as an operator with defaults does."""
    return EntrySettings(name=US, prefix=prefix)


class Jobs:
    """The controller's side of the mirror, as plain dictionaries.

    Attributes:
        hidden: what only a live read shows: the caches are behind.
        pods: keys with a Pod that has not ended.
        trouble: raised by the next live read.
    """

    def __init__(self) -> None:
        self._cached: dict[JobKey, dict[str, MirrorView]] = {}
        self.hidden: dict[str, MirrorView] = {}
        self.pods: set[JobKey] = set()
        self.trouble: Exception | None = None
        self.reads = 0

    def put(self, *views: MirrorView) -> None:
        """Have jobs as they are now."""
        for each in views:
            self._cached.setdefault(each.key, {})[each.uid] = each

    def remove(self, *views: MirrorView) -> None:
        """Have jobs no more."""
        for each in views:
            del self._cached[each.key][each.uid]

    def views(self, key: JobKey) -> Sequence[MirrorView]:
        """Return the jobs of one key that its entry may speak of."""
        every = list(self._cached.get(key, {}).values())
        done = [each for each in every if each.done]
        newest = max(done, key=lambda each: (each.completed, each.created, each.uid), default=None)
        return [each for each in every if not each.done or each.holds or each is newest]

    def calls(self, key: JobKey, label: str) -> bool:
        """Whether an entry of a job is called so."""
        return any(each.label == label for each in self._cached.get(key, {}).values())

    def keys(self) -> Iterable[JobKey]:
        """Return all keys."""
        return list(self._cached)

    async def read(self, key: JobKey, name: str) -> MirrorView | None:
        """Read a job live."""
        return self._found(key, lambda each: each.name == name)

    async def named(self, key: JobKey, job_name: str) -> MirrorView | None:
        """Read live the job that an entry calls so."""
        return self._found(key, lambda each: each.label == job_name)

    def _found(self, key: JobKey, is_it: Callable[[MirrorView], bool]) -> MirrorView | None:
        self.reads += 1
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        for each in (*self.hidden.values(), *self._cached.get(key, {}).values()):
            if each.namespace == key.namespace and is_it(each):
                return each
        return None

    async def pod_lives(self, key: JobKey) -> bool:
        """Whether a Pod of a key has not ended."""
        return key in self.pods


def working(job: MirrorView) -> MirrorView:
    """Describe a job once its attempt was claimed."""
    return replace(job, state="WORKING", outcome="RUNNING", holds=True)


def done(job: MirrorView, outcome: str = "SUCCEEDED", completed: int = 50) -> MirrorView:
    """Describe a job once it has its verdict."""
    time = f"2026-01-01T00:00:{completed:02}Z"
    return replace(job, state="DONE", outcome=outcome, holds=False, completed=time)
