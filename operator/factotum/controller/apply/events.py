"""Kubernetes Events about jobs: few, and each for somebody who should know.

The same reason about the same job is one Event with a count, written at most
once a minute. What is remembered is bounded, and so is what is under way;
whatever is too much is dropped and counted. What is told is for ``decide``.
"""

import asyncio
import logging
import socket
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from factotum.controller import log
from factotum.controller.clock import Clock
from factotum.controller.decide.decision import Notice
from factotum.controller.recording import Recorder
from factotum.kube import errors, names, paths
from factotum.kube.api import KubeApi
from factotum.kube.resource import FactotumJob, JobUid, format_time

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 8
"""Requests under way at once."""
_MAX_QUEUED: Final = 4096
_MAX_JOBS: Final = 2048
"""Jobs whose Events are remembered; the one that was told of longest ago makes room."""
_MAX_REASONS: Final = 16
"""Reasons of one job."""
_MESSAGE_LIMIT: Final = 1024
_NAME_PART: Final = 200


class _Subject(NamedTuple):
    """The job that an Event is about: what is kept of it, since its factfile may be large."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    attempt: int

    @classmethod
    def of(cls, job: FactotumJob) -> Self:
        return cls(job.namespace, job.name, job.uid, job.resource_version, job.attempt)


@dataclass(slots=True, eq=False)
class _Series:
    """One reason of one job, and the Event that tells of it.

    Attributes:
        name: of the Event; empty until there is one.
        count: how often it happened; ``written`` is what the Event says.
        due: when the Event may be written again, by the loop's time.
        is_queued: it is on its way.
    """

    job: _Subject
    reason: str
    first: str
    type: str = ""
    message: str = ""
    last: str = ""
    name: str = ""
    count: int = 0
    written: int = 0
    due: float = 0.0
    is_queued: bool = False
    timer: asyncio.TimerHandle | None = None


class Events:
    """Tells of jobs, without anybody waiting for it.

    Args:
        pause: seconds for which an Event is left alone before its count is written again.
    """

    def __init__(
        self, api: KubeApi, clock: Clock, recorder: Recorder, *, pause: float = 60.0
    ) -> None:
        self._api = api
        self._clock = clock
        self._recorder = recorder
        self._pause = pause
        self._told: OrderedDict[JobUid, dict[str, _Series]] = OrderedDict()
        self._queue: deque[_Series] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._host = socket.gethostname()[:128]

    # --- what is to be told -----------------------------------------------------------

    def tell(self, job: FactotumJob, notice: Notice) -> None:
        """Tell of something that happened to a job."""
        series = self._series(job, notice.reason)
        if series is None:
            self._recorder.told("dropped")
            return
        series.job = _Subject.of(job)
        series.type, series.message = notice.type, notice.message[:_MESSAGE_LIMIT]
        series.last = format_time(self._clock.now())
        series.count += 1
        self._send(series)

    def _series(self, job: FactotumJob, reason: str) -> _Series | None:
        of_job = self._told.setdefault(job.uid, {})
        self._told.move_to_end(job.uid)
        if len(self._told) > _MAX_JOBS:
            _, oldest = self._told.popitem(last=False)
            for series in oldest.values():
                if series.timer is not None:
                    series.timer.cancel()
                    self._recorder.told("dropped")
        known = of_job.get(reason)
        if known is None and len(of_job) < _MAX_REASONS:
            moment = format_time(self._clock.now())
            known = of_job[reason] = _Series(_Subject.of(job), reason, moment)
        return known

    # --- writing ----------------------------------------------------------------------

    def _send(self, series: _Series) -> None:
        """Have an Event written, now or once it may be."""
        if series.is_queued or series.timer is not None:
            return
        loop = asyncio.get_running_loop()
        if series.written and loop.time() < series.due:
            series.timer = loop.call_at(series.due, self._due, series)
            return
        if len(self._queue) >= _MAX_QUEUED:
            self._recorder.told("dropped")
            return
        series.is_queued = True
        self._queue.append(series)
        if len(self._tasks) < _AT_ONCE:
            task = asyncio.create_task(self._drain(), name="Events")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _due(self, series: _Series) -> None:
        series.timer = None
        self._send(series)

    async def _drain(self) -> None:
        while self._queue:
            series = self._queue.popleft()
            try:
                await self._write(series)
            except errors.KubeError as exc:
                self._recorder.told("failed")
                log.of(logger, series.job).warning("no Event recorded: %s", exc)
            except Exception:  # noqa: BLE001 - it is logged, by the job's own logger
                # A border: one odd answer must not keep the others from being told.
                self._recorder.told("failed")
                log.of(logger, series.job).exception("no Event recorded")
            finally:
                series.is_queued = False
            series.due = asyncio.get_running_loop().time() + self._pause
            if series.written and series.count > series.written:
                self._send(series)

    async def _write(self, series: _Series) -> None:
        count, namespace = series.count, series.job.namespace
        if series.name:
            change = {
                "count": count,
                "lastTimestamp": series.last,
                "message": series.message,
                "type": series.type,
            }
            try:
                await self._api.merge(paths.item(paths.EVENTS, series.name, namespace), change)
            except errors.NotFoundError:
                series.name = ""  # Events live for an hour
            else:
                series.written = count
                self._recorder.told("counted")
                return
        raw = await self._api.create(
            paths.collection(paths.EVENTS, namespace), self._event(series, count)
        )
        series.name, series.written = str(raw["metadata"]["name"]), count
        self._recorder.told("created")

    def _event(self, series: _Series, count: int) -> Mapping[str, Any]:
        job = series.job
        return {
            "metadata": {
                "generateName": f"{job.name[:_NAME_PART].rstrip('-.')}.",
                "namespace": job.namespace,
            },
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": job.namespace,
                "name": job.name,
                "uid": job.uid,
                "resourceVersion": job.resource_version,
            },
            "type": series.type,
            "reason": series.reason,
            "message": series.message,
            "source": {"component": names.MANAGED_BY},
            "reportingComponent": names.MANAGED_BY,
            "reportingInstance": self._host,
            "firstTimestamp": series.first,
            "lastTimestamp": series.last,
            "count": count,
        }

    # --- the end ----------------------------------------------------------------------

    async def settle(self, seconds: float) -> None:
        """Have the last ones written, for some seconds at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self.close()

    def close(self) -> None:
        """Give up what is still to be told."""
        for task in self._tasks:
            task.cancel()
        for told in self._told.values():
            for series in told.values():
                if series.timer is not None:
                    series.timer.cancel()
