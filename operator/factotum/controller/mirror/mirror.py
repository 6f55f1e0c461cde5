"""Keeps the entries in Consul level with the jobs, and never keeps a job waiting for Consul.

Write-behind: ``note`` marks a key, workers bring its entry level. Only ``take``
is waited for, one second at most and once per outage. What a key must hold is
decided in ``rules``; every write is a compare-and-set on what that
decision was made from. Must not know the resource, Pods or python-consul2.

While Consul is away, one cheap request at a time asks whether it is back; then
everything is brought level, since it may have come back with its data lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from factotum.controller.mirror.presence import Presence, Timing
from factotum.controller.mirror.rules import (
    Close,
    Held,
    Keep,
    MirrorView,
    Verdict,
    Write,
    decide,
    wanted,
)
from factotum.controller.mirror.source import HeldByOther, JobSource, Taken, Unreachable
from factotum.controller.work_queue import WorkQueue
from factotum.kube.errors import KubeError
from factotum.persistence.consul import ABSENT, Store, StoredValue
from factotum.persistence.entries import Entry, EntrySettings, EntryState, JobKey, StoredEntry
from factotum.persistence.errors import (
    StoreConflictError,
    StoreError,
    StoreRefusedError,
    StoreUnreachableError,
)

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")

_TRIES: Final = 4
"""Compare-and-sets in a row before a key has to wait: somebody else writes it all the time."""
_CHUNK: Final = 200
"""Keys compared between two turns of the event loop."""


class Mirror:
    """The entries of one operator. Call ``run`` once every list of the controller is synced."""

    def __init__(
        self,
        store: Store,
        settings: EntrySettings,
        jobs: JobSource,
        *,
        timing: Timing | None = None,
        workers: int = 32,
    ) -> None:
        self._store = store
        self._settings = settings
        self._jobs = jobs
        self._timing = timing or Timing()
        self._workers = workers
        self._queue: WorkQueue[JobKey] = WorkQueue()
        self._working = 0
        self._idle = asyncio.Event()
        self._trouble: set[JobKey] = set()
        self._presence = Presence(lambda: store.probe(f"{settings.prefix}/-"), self._timing)
        self._cached: dict[JobKey, StoredValue] = {}
        """What the store holds for keys with unfinished jobs, as far as we know."""
        self._owed: dict[JobKey, dict[str, MirrorView]] = {}
        """Jobs seen unfinished, by UID, until their end is recorded, even without resource."""

    @property
    def reachable(self) -> bool:
        """Whether Consul answered when it was last asked, or was not asked yet."""
        return not self._presence.down.is_set()

    def lag_seconds(self) -> float:
        """Return for how long the oldest change is not written."""
        return self._queue.oldest_seconds()

    def pending(self) -> int:
        """Return how many keys are to be looked at, or being looked at."""
        return len(self._queue) + self._working

    @property
    def prompt(self) -> bool:
        """Whether ``take`` would ask Consul now, rather than answer at once."""
        return self._presence.prompt

    def note(self, key: JobKey, *changed: MirrorView) -> None:
        """Look at a key again: a job of it appeared, changed or went. Costs nothing.

        Every state of a job must be noted, so that its end counts as watched.
        """
        if not key.job_id:
            return
        self._watch(key, changed)
        self._queue.add(key)

    def owes(self, key: JobKey, uid: str) -> bool:
        """Whether the end of a job may not stand in its entry yet; while Consul is away, any."""
        is_open = key in self._queue or uid in self._owed.get(key, {})
        return is_open or not self._presence.up.is_set()

    async def take(self, view: MirrorView) -> Taken | HeldByOther | Unreachable:
        """Write a job's entry before its Pod is created.

        Waits for Consul at most a second, and not at all while it is known to be away.
        """
        self._watch(view.key, [view])
        if not self._presence.prompt:
            return self._later(view.key, self._presence.reason)
        began = asyncio.get_running_loop().time()
        attempt = asyncio.ensure_future(self._take(replace(view, holds=True)))
        outage = asyncio.ensure_future(self._presence.down.wait())
        try:
            done, _ = await asyncio.wait(
                {attempt, outage},
                timeout=self._timing.take,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if attempt in done:
                return attempt.result()
            if not done and await self._was_late(attempt, began):
                return attempt.result()
            if not done:
                self._presence.lost(f"no answer within {self._timing.take:g} s", slow=True)
        except StoreUnreachableError as exc:
            self._presence.lost(str(exc))
        except StoreError as exc:
            return self._later(view.key, str(exc))
        finally:
            attempt.cancel()
            outage.cancel()
        return self._later(view.key, self._presence.reason)

    async def _was_late(self, attempt: asyncio.Future[Taken | HeldByOther], began: float) -> bool:
        """Whether it was our own loop that was late, and the answer is there once it is asked."""
        late = asyncio.get_running_loop().time() - began - self._timing.take
        if late < self._timing.late:
            return False
        await asyncio.wait({attempt}, timeout=self._timing.take)
        return attempt.done()

    async def run(self) -> None:
        """Bring everything level and keep it so, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.watch(self._level))
            for _ in range(self._workers):
                tasks.create_task(self._work())

    async def settled(self) -> None:
        """Wait until every entry that can be written now is written (before the end, in tests)."""
        while not self._presence.up.is_set() or len(self._queue) or self._working:
            self._idle.clear()
            await self._idle.wait()

    # Keys

    def _later(self, key: JobKey, message: str) -> Unreachable:
        self._queue.add(key)
        return Unreachable(message)

    def _watch(self, key: JobKey, views: Iterable[MirrorView]) -> None:
        """Remember who is unfinished, and how those ended that were."""
        owed = self._owed.get(key, {})
        for view in views:
            if view.ran and (view.uid in owed or not view.done):
                owed[view.uid] = view
        if owed:
            self._owed[key] = owed

    def _candidates(self, key: JobKey) -> dict[str, MirrorView]:
        """Return a key's jobs by UID: those that exist, and those whose end is not recorded."""
        owed = self._owed.get(key, {})
        ended = {uid: replace(view, holds=False) for uid, view in owed.items() if view.done}
        return ended | {view.uid: view for view in self._jobs.views(key)}

    def _verdict(self, key: JobKey, views: Mapping[str, MirrorView], value: bytes) -> Verdict:
        job = wanted(views.values())
        return decide(
            job,
            value,
            name=self._settings.name,
            fresh=job is not None and job.uid in self._owed.get(key, {}),
            is_known=lambda label: (
                any(view.label == label for view in views.values()) or self._jobs.calls(key, label)
            ),
        )

    def _settle(self, key: JobKey, views: Mapping[str, MirrorView]) -> None:
        """Note that a key holds what these views ask for."""
        job = wanted(views.values())
        if job is not None and not job.done:
            return
        self._cached.pop(key, None)
        exist = {view.uid for view in self._jobs.views(key)}
        left = {
            uid: view
            for uid, view in self._owed.get(key, {}).items()
            if not _over(view, views.get(uid), exists=uid in exist)
        }
        if left:
            self._owed[key] = left
        else:
            self._owed.pop(key, None)

    # Writing

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._working += 1
            try:
                await self._presence.up.wait()
                await self._bring_level(key)
            except StoreRefusedError as exc:
                _LOG.warning("%s is not mirrored: %s", self._named(key), exc)
                self._forget(key)
            except StoreError as exc:
                self._presence.lost(str(exc))
                self._queue.add(key)
            except Exception as exc:  # noqa: BLE001 - one key's trouble must not end the mirror
                self._troubled(key, exc)
            else:
                self._trouble.discard(key)
            finally:
                self._working -= 1
                self._queue.done(key)
                self._idle.set()

    def _troubled(self, key: JobKey, exc: Exception) -> None:
        """Try a key again whose job could not be read, say: soon first, then now and then."""
        again = key in self._trouble
        self._queue.add_later(key, self._timing.revisit if again else self._timing.retry)
        if not again:
            self._trouble.add(key)
            # An API server that is away is one line; what nobody thought of is shown whole.
            bug = None if isinstance(exc, KubeError) else exc
            _LOG.warning("%s cannot be mirrored yet: %s", self._named(key), exc, exc_info=bug)

    def _named(self, key: JobKey) -> str:
        """Return an entry's path with the jobs that it may speak of, for the log."""
        jobs = ", ".join(sorted(view.label for view in self._jobs.views(key)))
        return f"job {jobs or 'that is gone'}: {self._settings.key_path(key)}"

    async def _bring_level(self, key: JobKey) -> None:
        path = self._settings.key_path(key)
        views = self._candidates(key)
        for _ in range(_TRIES):
            stored = self._cached.get(key)
            if stored is None:
                stored = await self._ask(self._store.get(path))
            entry = await self._due(key, views, stored)
            if entry is None:
                return
            value = entry.to_json()
            try:
                revision = await self._ask(self._store.put(path, value, revision=stored.revision))
            except StoreConflictError:
                self._cached.pop(key, None)
                views = await self._read_again(key, views)
                continue
            self._cached[key] = StoredValue(value, revision)
            self._settle(key, views)
            return
        self._queue.add_later(key, self._timing.retry)

    async def _due(
        self, key: JobKey, views: dict[str, MirrorView], stored: StoredValue
    ) -> Entry | None:
        """Return the entry to write now, if any."""
        verdict = self._verdict(key, views, stored.value)
        if isinstance(verdict, Write):
            return verdict.entry
        if isinstance(verdict, Close):
            return await self._closed(key, views, verdict.stored)
        if isinstance(verdict, Held):
            self._cached.pop(key, None)
            self._queue.add_later(key, self._timing.revisit)
        else:
            self._settle(key, views)
        return None

    async def _closed(
        self, key: JobKey, views: dict[str, MirrorView], stored: StoredEntry
    ) -> Entry | None:
        """Close an entry without job: only if there is none in truth either."""
        found = await self._jobs.named(key, stored.request.job_name)
        if found is not None:
            views[found.uid] = found
            job = wanted(views.values())
            if job is not None:
                return job.entry(self._settings.name)
        if await self._jobs.pod_lives(key):
            self._queue.add_later(key, self._timing.revisit)
            return None
        _LOG.info("closing %s: it has no job any more", self._settings.key_path(key))
        return stored.closed()

    async def _read_again(self, key: JobKey, views: dict[str, MirrorView]) -> dict[str, MirrorView]:
        """Derive a key's jobs anew after somebody else wrote it: our cache may be behind."""
        job = wanted(views.values())
        views = self._candidates(key)
        if job is None or job.uid not in {view.uid for view in self._jobs.views(key)}:
            return views
        found = await self._jobs.read(key, job.name)
        if found is not None:
            views[found.uid] = found
        if found is None or found.uid != job.uid:
            views.pop(job.uid, None)
        return views

    async def _take(self, view: MirrorView) -> Taken | HeldByOther:
        key = view.key
        path = self._settings.key_path(key)
        for _ in range(_TRIES):
            stored = await self._store.get(path)
            verdict = self._verdict(key, {**self._candidates(key), view.uid: view}, stored.value)
            match verdict:
                case Held(last_run_from):
                    self._queue.add(key)
                    return HeldByOther(last_run_from)
                case Write(entry):
                    value = entry.to_json()
                    try:
                        revision = await self._store.put(path, value, revision=stored.revision)
                    except StoreConflictError:
                        continue
                    self._cached[key] = StoredValue(value, revision)
                    return Taken()
                case Keep() | Close():
                    return Taken()
        msg = f"{path} is being written by others all the time"
        raise StoreConflictError(msg)

    async def _ask(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._timing.request):
                return await answer
        except TimeoutError as exc:
            msg = f"no answer within {self._timing.request:g} s"
            raise StoreUnreachableError(msg) from exc

    def _forget(self, key: JobKey) -> None:
        self._cached.pop(key, None)
        self._owed.pop(key, None)

    # Everything

    async def _level(self) -> int:
        """Compare all entries with all jobs, mark the keys that differ and count them."""
        async with asyncio.timeout(self._timing.listing):
            stored = await self._store.entries(self._settings.prefix)
        # Revisions of a store that came back empty or older mean nothing any more.
        self._cached.clear()
        keys = dict.fromkeys([*self._jobs.keys(), *self._owed, *self._unfinished(stored)])
        behind = 0
        for number, key in enumerate(keys):
            if number % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
            self._watch(key, self._jobs.views(key))
            candidates = self._candidates(key)
            entry = stored.get(self._settings.key_path(key), ABSENT)
            if self._verdict(key, candidates, entry.value) == Keep():
                self._settle(key, candidates)
                continue
            self._cached[key] = entry
            self._queue.add(key)
            behind += 1
        self._idle.set()
        return behind

    def _unfinished(self, stored: Mapping[str, StoredValue]) -> Iterable[JobKey]:
        """Pick the entries of ours that are not DONE: each must have a job."""
        for path, value in stored.items():
            key = self._settings.key_of(path)
            entry = StoredEntry.parse(value.value)
            if key is None or entry is None or entry.state is EntryState.DONE:
                continue
            if entry.last_run_from == self._settings.name:
                yield key


def _over(owed: MirrorView, seen: MirrorView | None, *, exists: bool) -> bool:
    """Whether nothing is owed of a job any more: its end is recorded, or it went unfinished."""
    if owed.done:
        return seen is not None and seen.done
    return not exists
