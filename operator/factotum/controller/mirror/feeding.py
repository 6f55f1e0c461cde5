"""The mirror's side towards the controller: FactotumJobs in, entries out.

Subscribes to the cache: nothing else feeds it. Translates between the cache's
objects and the mirror's views; the mirror itself knows neither.
"""

import asyncio
import heapq
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from factotum.controller.facts.cache import Cache
from factotum.controller.facts.observed import Held
from factotum.controller.facts.pods import PodView, is_hash
from factotum.controller.mirror.mirror import Mirror
from factotum.controller.mirror.rules import MirrorView, wanted
from factotum.controller.mirror.source import HeldByOther, Taken, Unreachable
from factotum.controller.queue.holders import is_holder
from factotum.controller.queue.slots import Slots
from factotum.core.words import reasons
from factotum.core.words.reasons import Reason
from factotum.core.words.states import JobState, RunState
from factotum.kube import errors, names, paths
from factotum.kube.api import KubeApi
from factotum.kube.resource import FactotumJob, JobUid
from factotum.persistence.consul import Store
from factotum.persistence.entries import EntrySettings, JobKey

logger = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 2.0
_STUCK_SECONDS: Final = 600.0
"""An entry takes some requests of five seconds each; so long only if something hangs."""
_PARKED: Final = (Reason.SUSPENDED, Reason.RETRYING, Reason.RELAUNCHING)
"""Why a job waits that does not want to run now: suspended, or in back-off."""
_SLACK: Final = 16
"""How many of a key's jobs may be gone before its heap is made anew, beside as many as exist."""


class _Shelf:
    """The jobs of one key, so that none that are long done need to be walked.

    A pipeline's runs share one job id: there may be ten thousand of them, of
    which the entry speaks of one.
    """

    def __init__(self) -> None:
        self.unfinished: set[JobUid] = set()
        self.done: dict[JobUid, str] = {}
        self.names: dict[str, JobUid] = {}
        self.submitted: dict[JobUid, str] = {}
        self._newest: list[tuple[_Reversed, JobUid]] = []

    def put(self, job: FactotumJob) -> None:
        self.names[job.name] = job.uid
        self.submitted.pop(job.uid, None)
        if job.submitted_name:
            self.submitted[job.uid] = job.submitted_name
        if not job.is_done:
            self.unfinished.add(job.uid)
            self.done.pop(job.uid, None)
            return
        self.unfinished.discard(job.uid)
        if not reasons.ran(job.reason):
            # No entry speaks of it, so it must not stand before one that has its entry.
            self.done.pop(job.uid, None)
            return
        completed = f"{job.status.get('completionTime') or ''} {job.created} {job.uid}"
        if self.done.get(job.uid) != completed:
            self.done[job.uid] = completed
            heapq.heappush(self._newest, (_Reversed(completed), job.uid))
        if len(self._newest) > 2 * len(self.done) + _SLACK:
            self._newest = [(_Reversed(text), uid) for uid, text in self.done.items()]
            heapq.heapify(self._newest)

    def drop(self, job: FactotumJob) -> None:
        self.unfinished.discard(job.uid)
        self.done.pop(job.uid, None)
        self.submitted.pop(job.uid, None)
        if self.names.get(job.name) == job.uid:
            del self.names[job.name]

    def newest_done(self) -> JobUid | None:
        """Return the job that completed last; what was dropped meanwhile is left out."""
        while self._newest:
            completed, uid = self._newest[0]
            if self.done.get(uid) == completed.text:
                return uid
            heapq.heappop(self._newest)
        return None

    def __bool__(self) -> bool:
        return bool(self.unfinished or self.done or self.names)


class _Reversed:
    """Sorts texts from last to first."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: "_Reversed") -> bool:
        return self.text > other.text


class ClosableStore(Store, Protocol):
    """A store that can be closed."""

    def close(self) -> None:
        """Let go of its connections."""


class ConsulMirror:
    """Keeps Consul level with the cache; see ``mirror``."""

    def __init__(
        self,
        api: KubeApi,
        cache: Cache,
        slots: Slots,
        consul: ClosableStore,
        settings: EntrySettings,
    ) -> None:
        self._api = api
        self._cache = cache
        self._slots = slots
        self._consul = consul
        self._ids: dict[JobUid, str] = {}
        self._keys: dict[JobUid, JobKey] = {}
        self._shelves: dict[JobKey, _Shelf] = {}
        self._ending: set[JobUid] = set()
        self._mirror = Mirror(consul, settings, self)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, all lists being read."""
        self._task = asyncio.create_task(self._mirror.run(), name="mirror")

    def failure(self) -> str | None:
        """Return why it works no more, if it does not."""
        if self._task is not None and self._task.done():
            return "the mirror has ended"
        if self.reachable and self.lag_seconds() > _STUCK_SECONDS:
            return f"the mirror has written nothing for {self.lag_seconds():.0f} s"
        return None

    @property
    def reachable(self) -> bool:
        """Whether Consul answered when it was last asked."""
        return self._mirror.reachable

    def lag_seconds(self) -> float:
        """Return for how long the oldest change is not written."""
        return self._mirror.lag_seconds()

    def pending(self) -> int:
        """Return how many entries are to be looked at."""
        return self._mirror.pending()

    async def stop(self) -> None:
        """End, after writing what can be written at once; the rest follows at the next start."""
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._mirror.settled()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._consul.close()

    async def take(self, job: FactotumJob, job_id: str) -> Taken | HeldByOther | Unreachable:
        """Write a job's entry before its Pod is created."""
        self._ids[job.uid] = job_id
        view = self._view(job)
        if view is None:
            return Taken()
        self._shelve(job)
        return await self._mirror.take(view)

    def owes(self, job: FactotumJob) -> bool:
        """Whether a job's end is still to be written: without the job nobody would know it."""
        key = self._keys.get(job.uid)
        return key is not None and bool(key.job_id) and self._mirror.owes(key, job.uid)

    # --- Subscriber -------------------------------------------------------------------

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:
        """Bring the entry of a job that changed or is no more level with it."""
        view = self._view(job)
        if view is None:
            self._ids.pop(job.uid, None)
            return
        if not is_gone:
            self._shelve(job)
            self._note_ending(job)
            if self._task is not None:
                self._mirror.note(view.key, view)
            return
        self._unshelve(job)
        self._ids.pop(job.uid, None)
        self._ending.discard(job.uid)
        self._mirror.note(view.key)

    def pod_changed(self, pod: PodView) -> None:
        """Learn a job's id from its Pod, and when the last of a finished job's Pods ends."""
        job = self._cache.jobs.get(pod.job_uid)
        if job is None or not pod.belongs_to(job):
            return
        if not job.job_id and pod.job_id and job.uid not in self._ids:
            self._ids[job.uid] = pod.job_id
            self.job_changed(job, is_gone=False)
        elif job.is_done:
            # Only while its Pod lives does a finished job hold its entry.
            self._note_ending(job)
            if job.uid not in self._ending:
                self._note_waiting(self._keys.get(job.uid))

    def _note_ending(self, job: FactotumJob) -> None:
        if job.is_done and is_holder(job, self._cache.pods_of(job)):
            self._ending.add(job.uid)
        else:
            self._ending.discard(job.uid)

    def _note_waiting(self, key: JobKey | None) -> None:
        """Have an entry speak of a job that waits, if there is one, now that another let go."""
        shelf = self._shelves.get(key) if key is not None else None
        if key is not None and shelf is not None and shelf.unfinished:
            self._mirror.note(key)

    # --- JobSource, asked by the mirror -----------------------------------------------

    def views(self, key: JobKey) -> Sequence[MirrorView]:
        """Return the jobs of one key that its entry may speak of."""
        shelf = self._shelves.get(key)
        if shelf is None:
            return ()
        newest = shelf.newest_done()
        uids = shelf.unfinished | (self._ending & shelf.done.keys())
        if newest is not None:
            uids = uids | {newest}
        return [v for uid in uids if (j := self._cache.jobs.get(uid)) and (v := self._view(j))]

    def calls(self, key: JobKey, label: str) -> bool:
        """Whether a job of a key exists that its entry calls so."""
        shelf = self._shelves.get(key)
        if shelf is None:
            return False
        namespace, _, name = label.rpartition("/")
        is_name = namespace in ("", key.namespace) and name in shelf.names
        return is_name or label in shelf.submitted.values()

    def keys(self) -> Iterable[JobKey]:
        """Return every key that has jobs."""
        return list(self._shelves)

    async def read(self, key: JobKey, name: str) -> MirrorView | None:
        """Read live the job of an object's name, in the namespace of its key."""
        with suppress(errors.NotFoundError):
            raw = await self._api.get(paths.job(key.namespace, name))
            view = self._view(FactotumJob.from_raw(raw))
            if view is not None and view.key == key:
                return view
        return None

    async def named(self, key: JobKey, job_name: str) -> MirrorView | None:
        """Read live the job that an entry calls so, in the namespace of its key."""
        namespace, separator, name = job_name.partition("/")
        if not separator:
            namespace, name = key.namespace, job_name
        is_object = namespace == key.namespace and paths.is_object_name(name)
        found = await self.read(key, name) if is_object else None
        return found or await self._read_submitted(key, job_name)

    async def _read_submitted(self, key: JobKey, job_name: str) -> MirrorView | None:
        """Read live the job that a caller of a job server named so; whoever else wrote the entry
        did not speak of one of ours.
        """
        collection = paths.collection(paths.JOBS, key.namespace)
        selector = f"{names.LABEL_SUBMITTED_JOB_ID}={names.label_value(key.job_id)}"
        found: list[MirrorView] = []
        async for page in self._api.pages(collection, selector=selector):
            jobs = map(FactotumJob.from_raw, page.items)
            named = (job for job in jobs if job.submitted_name == job_name)
            found += [view for job in named if (view := self._view(job)) and view.key == key]
        return wanted(found)

    async def pod_lives(self, key: JobKey) -> bool:
        """Whether a Pod of ours of that job id has not ended."""
        return any(
            not pod.ended and pod.owner and (pod.namespace, pod.job_id) == tuple(key)
            for pod in self._cache.pods()
        )

    def _shelve(self, job: FactotumJob) -> None:
        job_id = self._id_of(job)
        self._ids[job.uid] = job_id
        key = JobKey(job.namespace, job_id)
        if self._keys.get(job.uid, key) != key:
            # Somebody wrote another id into its status: it stands in one place only.
            self._mirror.note(self._keys[job.uid])
            self._unshelve(job)
        self._keys[job.uid] = key
        self._shelves.setdefault(key, _Shelf()).put(job)

    def _unshelve(self, job: FactotumJob) -> None:
        key = self._keys.pop(job.uid, None)
        if key is None:
            return
        shelf = self._shelves.get(key)
        if shelf is not None:
            shelf.drop(job)
            if not shelf:
                del self._shelves[key]

    def _id_of(self, job: FactotumJob) -> str:
        job_id = job.job_id or self._ids.get(job.uid, "")
        # It becomes part of a key: whoever may write a status may not choose the key.
        return job_id if is_hash(job_id) else ""

    def _view(self, job: FactotumJob) -> MirrorView | None:
        job_id = self._id_of(job)
        if not job_id:
            return None
        return MirrorView(
            uid=job.uid,
            namespace=job.namespace,
            name=job.name,
            job_id=job_id,
            state=job.state or JobState.QUEUED,
            outcome=str(job.status.get("outcome") or RunState.WAITING),
            created=job.created,
            completed=job.status.get("completionTime"),
            # The slot of one that is done is freed a moment after its last Pod ended.
            holds=(not job.is_done and isinstance(self._slots.place(job.uid), Held))
            or is_holder(job, self._cache.pods_of(job)),
            ran=reasons.ran(job.reason),
            parked=job.reason in _PARKED,
            spec=job.spec,
            job_name=job.submitted_name,
        )
