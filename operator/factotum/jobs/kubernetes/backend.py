"""The Kubernetes backend: its parts put together, and the protocol that front doors know."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from factotum.core.errors import FactotumError
from factotum.core.factfile import tags
from factotum.core.factfile.bounds import Bounds
from factotum.core.factfile.document import Factfile
from factotum.core.words.states import JobState
from factotum.jobs.backend import CHANGES_AT_ONCE, GATHER_SECONDS
from factotum.jobs.errors import (
    BackendAwayError,
    BackendError,
    DuplicateJobError,
    JobsError,
    UnknownJobError,
)
from factotum.jobs.kubernetes.entries import Entries, Reading
from factotum.jobs.kubernetes.failures import told
from factotum.jobs.kubernetes.logs import Logs
from factotum.jobs.kubernetes.objects import naming, orders, records
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.kubernetes.shelf import Shelf
from factotum.jobs.kubernetes.submitting.creating import Creating
from factotum.jobs.kubernetes.submitting.factfiles import Factfiles
from factotum.jobs.kubernetes.submitting.room import Nobody, Operator, Room
from factotum.jobs.views import (
    Change,
    JobDetail,
    JobPage,
    JobQuery,
    JobRequest,
    JobView,
    Load,
    LogPiece,
    LogQuery,
    Order,
    Stranded,
    TaskView,
)
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi, PodLogs, RawObject
from factotum.kube.reflector import Reflector, Target
from factotum.kube.resource import FactotumJob
from factotum.persistence.entries import Entry, EntrySettings

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_TIDY_SECONDS: Final = 600.0
_TRIES: Final = 5
_NAMES_KEPT: Final = 128


class Cluster(KubeApi, PodLogs, Protocol):
    """What is asked of a cluster."""


class KubernetesBackend:
    """Implements ``jobs.backend.Backend`` by FactotumJobs. Belongs to one event loop.

    Args:
        api: the cluster.
        settings: where and how much.
        keys: under which keys the operator mirrors jobs.
        store: its mirror; None: there is none.
        operator: says whether one more job would be taken; None: nobody is asked.
    """

    def __init__(
        self,
        api: Cluster,
        settings: ClusterSettings,
        keys: EntrySettings,
        store: Reading | None = None,
        operator: Operator | None = None,
    ) -> None:
        self._api = api
        self._settings = settings
        self._shelf = Shelf()
        self._creating = Creating(api, settings, self._shelf)
        self._factfiles = Factfiles(api, settings)
        self._entries = Entries(settings, self._shelf, store, keys)
        self._room = Room(operator or Nobody(), settings.max_waiting)
        self._logs = Logs(api, settings.namespace)
        self._taking: set[str] = set()
        self._names: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []
        self._reflector = Reflector(
            api,
            [paths.collection(paths.JOBS, settings.namespace)],
            Target(
                resource=paths.JOBS,
                put=self._shelf.see,
                drop=self._shelf.drop,
                known=self._shelf.known,
                version=self._shelf.version,
                listing=self._shelf.listing,
            ),
        )

    async def start(self) -> None:
        """Begin to follow the namespace's jobs; until they are known nothing can be asked."""
        self._tasks = [
            asyncio.create_task(self._follow(), name="jobs"),
            asyncio.create_task(self._tidy(), name="factfiles"),
        ]

    async def stop(self) -> None:
        """Let go; nothing is kept here."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._logs.close()

    def missing(self) -> str | None:
        """Return why nothing can be asked yet, if that is so."""
        return None if self._shelf.is_complete else "the jobs are not listed yet"

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._shelf.is_complete:
            try:
                await self._reflector.list()
            except errors.KubeError as error:
                logger.warning("the jobs cannot be listed: %s", error)
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
        await self._reflector.run()

    async def _tidy(self) -> None:
        while True:
            try:
                await self._factfiles.tidy()
            except errors.KubeError as error:
                logger.info("factfiles without an owner are looked for later: %s", error)
            await asyncio.sleep(_TIDY_SECONDS)

    # --- submissions -----------------------------------------------------------------------

    async def create(self, request: JobRequest) -> JobView:
        """Have a job queued (see ``Backend.create``)."""
        self._check_known()
        job_id = request.job_id
        if self._shelf.holder(job_id) is not None or job_id in self._taking:
            raise DuplicateJobError(job_id)
        self._taking.add(job_id)
        try:
            await self._room.check(self.load().waiting)
            with told("the job was being made"):
                raw = await self._create(request)
        finally:
            self._taking.discard(job_id)
        return self._noted(raw)

    async def _create(self, request: JobRequest) -> RawObject:
        config_map = await self._factfiles.keep(request)
        if config_map is None:
            return await self._creating.create(request, "")
        try:
            raw = await self._creating.create(request, config_map["metadata"]["name"])
        except errors.UnreachableError:
            raise  # there may be a job that looks for it
        except (errors.KubeError, JobsError):
            await self._factfiles.discard(config_map)
            raise
        await self._factfiles.hand_over(config_map, raw)
        return raw

    def _check_known(self) -> None:
        if not self._shelf.is_complete:
            raise BackendAwayError("the jobs of the cluster are not known yet: try again")

    def _noted(self, raw: RawObject) -> JobView:
        self._shelf.note(raw)
        return self._shelf.view(records.read(raw))

    # --- questions -------------------------------------------------------------------------

    async def _read(self, key: str) -> RawObject:
        """Read a job as it is now."""
        name = naming.name_in(key)
        with told(f"{name} was being read"):
            try:
                raw = await self._api.get(paths.job(self._settings.namespace, name))
            except errors.NotFoundError:
                raw = None
        if raw is None or naming.key(name, raw["metadata"]["uid"]) != key:
            raise UnknownJobError(f"there is no job {key!r}")
        self._shelf.note(raw)
        return raw

    async def get(self, key: str) -> JobDetail:
        """Return a job (see ``Backend.get``)."""
        raw = await self._read(key)
        job, record = FactotumJob.from_raw(raw), records.read(raw)
        text = await self._factfile(job)
        return JobDetail(
            job=self._shelf.view(record),
            args=record.args,
            factfile=text or "",
            tasks=await self._task_views(job, text),
            attempts=records.attempts(job),
            task_logs=False,
        )

    async def _factfile(self, job: FactotumJob) -> str | None:
        """Return a job's factfile; None: it cannot be read now, though the job is there."""
        inline = job.spec.get("factfile")
        if inline is not None:
            return json.dumps(inline, ensure_ascii=False, indent=2)
        reference = (job.spec.get("factfileFrom") or {}).get("configMapKeyRef") or {}
        try:
            return await self._factfiles.text(reference["name"], reference["key"])
        except KeyError:
            return ""
        except errors.KubeError as error:
            logger.warning("the factfile of job %s cannot be read now: %s", job.name, error)
            return None

    def _lacks_names(self, job: FactotumJob) -> bool:
        """Whether only the factfile says which tasks a job has."""
        return not records.has_all_tasks(job) and job.uid not in self._names

    async def _task_views(self, job: FactotumJob, text: str | None) -> tuple[TaskView, ...]:
        """Show a job's tasks.

        Args:
            text: its factfile, if that is needed; None: it is not, or cannot be read now.
        """
        if text is not None and self._lacks_names(job):
            self._names[job.uid] = await asyncio.to_thread(_task_names, job, text)
            if len(self._names) > _NAMES_KEPT:
                self._names.popitem(last=False)
        return records.tasks(job, self._names.get(job.uid, ()))

    async def find(self, job_id: str) -> JobView | None:
        """Return the newest job of a job id."""
        self._check_known()
        record = self._shelf.newest(job_id)
        return None if record is None else self._shelf.view(record)

    async def entry(self, job_id: str) -> Entry | None:
        """Return a job in Factotum Server's form (see ``Backend.entry``)."""
        self._check_known()
        return await self._entries.find(job_id)

    async def list(self, query: JobQuery) -> JobPage:
        """Return jobs, newest first (see ``Backend.list``)."""
        self._check_known()
        return self._shelf.page(query)

    async def watch(
        self, since: int | None = None, key: str | None = None
    ) -> AsyncIterator[Change]:
        """Tell of each job as it is after each change (see ``Backend.watch``)."""
        self._check_known()
        if key is not None:
            async for change in self._watch_one(since, key):
                yield change
            return
        place = self._shelf.sequence if since is None else since
        while True:
            news = self._shelf.next_change()
            found = self._shelf.changed(place, CHANGES_AT_ONCE)
            for record in found:
                yield Change(sequence=record.version, job=self._shelf.view(record))
                place = record.version
            if not found:
                await news
                await asyncio.sleep(GATHER_SECONDS)  # many changes come together

    async def _watch_one(self, since: int | None, key: str) -> AsyncIterator[Change]:
        raw = await self._read(key)
        place = -1 if since is None else since
        while True:
            news = self._shelf.next_change()
            record = self._shelf.by_key(key)
            if record is None:
                raise UnknownJobError(f"job {key!r} is no more")
            if record.version > place:
                if int(raw["metadata"]["resourceVersion"]) < record.version:
                    raw = await self._read(key)
                job, record = FactotumJob.from_raw(raw), records.read(raw)
                place = record.version
                text = await self._factfile(job) if self._lacks_names(job) else None
                shown = await self._task_views(job, text)
                yield Change(sequence=place, job=self._shelf.view(record), tasks=shown)
                continue
            await news
            await asyncio.sleep(GATHER_SECONDS)

    async def log(self, key: str, query: LogQuery) -> LogPiece:
        """Return a part of a log (see ``Backend.log``)."""
        record = self._shelf.by_key(key) or records.read(await self._read(key))
        newest = record.view.attempt
        number = newest if query.attempt is None else query.attempt
        if not 1 <= number <= newest:
            raise UnknownJobError(f"job {key} has no attempt {number}")
        if query.task is not None:
            raise UnknownJobError("a Pod has one log for all of its tasks: ask for the whole run's")

        def is_over() -> bool:
            last = self._shelf.by_key(key)
            is_at_work = last is not None and last.view.state != JobState.DONE
            return number < newest or not is_at_work

        with told("the log was being read"):
            return await self._logs.read(record.pods.get(number, ""), query, is_over)

    def load(self) -> Load:
        """Return how busy it is, as far as the namespace's jobs tell."""
        active = self._shelf.active
        workers = max(self._settings.workers, active)
        # Those that a worker is free for are on their way; nobody says so before they start.
        waiting = max(0, self._shelf.waiting - (workers - active))
        return Load(
            workers=workers,
            active=active,
            waiting=waiting,
            max_waiting=self._settings.max_waiting,
        )

    def stranded(self) -> tuple[Stranded, ...]:
        """Return nothing: whoever asks, the cluster has the jobs."""
        return ()

    def sequence(self) -> int:
        """Return the newest change's sequence."""
        return self._shelf.sequence

    # --- orders ----------------------------------------------------------------------------

    async def resume(self, key: str) -> JobView:
        """Let a job go on, or have another attempt (see ``Backend.resume``)."""

        def change(job: FactotumJob) -> Mapping[str, Any] | None:
            record = self._shelf.by_key(key)
            if record is not None and not record.is_open:
                job_id = record.view.job_id
                if self._shelf.holder(job_id) is not None or job_id in self._taking:
                    raise DuplicateJobError(job_id)
            return orders.resume(job)

        return await self._change(key, change)

    async def suspend(self, key: str) -> JobView:
        """Stop a job until it is resumed (see ``Backend.suspend``)."""
        return await self._change(key, lambda job: orders.stop(job, Order.SUSPEND))

    async def cancel(self, key: str) -> JobView:
        """End a job (see ``Backend.cancel``)."""
        return await self._change(key, lambda job: orders.stop(job, Order.CANCEL))

    async def _change(
        self, key: str, change: Callable[[FactotumJob], Mapping[str, Any] | None]
    ) -> JobView:
        """Change a job as it is when it is changed: what was looked at must not have moved."""
        for _ in range(_TRIES):
            raw = await self._read(key)
            wanted = change(FactotumJob.from_raw(raw))
            if wanted is None:
                return self._noted(raw)
            path = paths.job(self._settings.namespace, raw["metadata"]["name"])
            with told("the job was being changed"), suppress(errors.ConflictError):
                try:
                    return self._noted(await self._api.merge(path, wanted))
                except errors.NotFoundError:
                    raise UnknownJobError(f"job {key!r} is no more") from None
        raise BackendError(f"job {key!r} changes too often just now: try again")


def _task_names(job: FactotumJob, text: str) -> tuple[str, ...]:
    """Return the names of a job's tasks in level order; none if they cannot be told."""
    try:
        factfile = Factfile.parse(text, job.env | tags.to_variables(job.tags), Bounds())
        levels = factfile.dag.levels(job.spec.get("start"))
    except FactotumError:
        return ()
    return tuple(factfile.tasks[index].name for level in levels for index in level)
