"""Logs of Pods, read once and kept for as long as somebody looks at them.

Kubernetes gives a log from its beginning only, and front doors ask for parts of
it, again and again. So each is followed into a file of its own, out of which
every question is answered. What nobody asks for is forgotten.
"""

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from factotum.jobs.errors import BackendError
from factotum.jobs.views import MAX_LOG_PIECE, LogPiece, LogQuery
from factotum.kube import errors, names, paths
from factotum.kube.api import PodLogs

logger = logging.getLogger(__name__)

_SETTLED_SECONDS: Final = 0.1
_FIRST_SECONDS: Final = 1.0
"""How long the first answer may take."""
_CATCHING_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is kept, and for how long.

    Attributes:
        bytes: of one log; a kubelet keeps 10 MiB if it was not told otherwise.
        logs: how many at once.
        idle_seconds: after which a log that nobody asks for is forgotten.
        again_seconds: after which a reading that has broken off is begun anew.
    """

    bytes: int = 16 * 1024 * 1024
    logs: int = 24
    idle_seconds: float = 60.0
    again_seconds: float = 1.0


_LIMITS: Final = Limits()


class Logs:
    """Answers questions for parts of logs. Belongs to one event loop.

    Args:
        source: where logs come from.
        namespace: of the Pods.
        limits: how much is kept.
    """

    def __init__(self, source: PodLogs, namespace: str, limits: Limits = _LIMITS) -> None:
        self._source = source
        self._namespace = namespace
        self._limits = limits
        self._spools: dict[str, _Spool] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def read(self, pod: str, query: LogQuery, is_over: Callable[[], bool]) -> LogPiece:
        """Return a part of a Pod's log.

        Args:
            pod: its name; empty: there is none.
            query: which part.
            is_over: whether the attempt that it ran has ended, as is known.

        Raises:
            KubeError: it could not be read at all.
            BackendError: there is no room for it on this machine's disk.
        """
        was_over = is_over()
        try:
            paths.pod(self._namespace, pod)
        except paths.BadNameError:
            return LogPiece(data=b"", offset=0, size=0, complete=was_over)
        if self._sweep is None:
            self._sweep_later()
        spool = self._spools.get(pod)
        if spool is None:
            self._make_room()
            try:
                spool = _Spool(self._source, self._namespace, pod, self._limits)
            except OSError as error:
                raise _no_room(error) from None
            self._spools[pod] = spool
        await spool.catch_up()
        return spool.piece(query, is_over=was_over)

    def close(self) -> None:
        """Forget all logs."""
        if self._sweep is not None:
            self._sweep.cancel()
        for pod in list(self._spools):
            self._spools.pop(pod).close()

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(
            self._limits.idle_seconds, self._forget_idle
        )

    def _forget_idle(self) -> None:
        """Let go of what nobody asks for: each is a connection to the API server."""
        self._sweep = None
        before = time.monotonic() - self._limits.idle_seconds
        for pod in [pod for pod, spool in self._spools.items() if spool.asked < before]:
            self._spools.pop(pod).close()
        if self._spools:
            self._sweep_later()

    def _make_room(self) -> None:
        while len(self._spools) >= self._limits.logs:
            oldest = min(self._spools, key=lambda pod: self._spools[pod].asked)
            self._spools.pop(oldest).close()


class _Spool:
    """One Pod's log, as far as it was read."""

    def __init__(self, source: PodLogs, namespace: str, pod: str, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._pod = pod
        self._path = paths.pod_log(namespace, pod, names.RUNNER_CONTAINER, follow=True)
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()
        self._size = 0
        self._dropped = 0
        self._has_ended = False
        self._is_gone = False
        self._failure: errors.KubeError | BackendError | None = None
        self._began = self._moved = self._ended = 0.0
        self._task: asyncio.Task[None] | None = None
        self.asked = time.monotonic()

    def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
        self._file.close()

    async def catch_up(self) -> None:
        """Wait until what there is has been read, a few seconds at most.

        Raises:
            KubeError, BackendError: there is nothing, and the reason is not that there cannot be.
        """
        now = self.asked = time.monotonic()
        if self._task is None or (self._task.done() and self._is_due(now)):
            self._failure, self._began, self._moved = None, now, 0.0
            self._task = asyncio.create_task(self._follow())
        while not self._task.done() and time.monotonic() < min(
            now + _CATCHING_SECONDS, self._settled()
        ):
            await asyncio.wait({self._task}, timeout=_SETTLED_SECONDS / 4)
        if self._failure is not None and not self._size:
            raise self._failure

    def _settled(self) -> float:
        """Return when all that there was has come, as far as one can tell."""
        return self._moved + _SETTLED_SECONDS if self._moved else self._began + _FIRST_SECONDS

    def _is_due(self, now: float) -> bool:
        """Whether to begin anew after an end: the connection may have been all that ended."""
        return not self._has_ended and now - self._ended >= self._limits.again_seconds

    async def _follow(self) -> None:
        skipped = self._size + self._dropped  # it comes from its beginning each time
        self._is_gone = False
        try:
            async with contextlib.aclosing(self._source.log(self._path)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    self._moved = time.monotonic()
                    fresh, skipped = piece[skipped:], max(0, skipped - len(piece))
                    self._keep(fresh)
            self._has_ended = True
        except errors.NotFoundError:
            self._is_gone = True  # it has been there: it claimed the attempt
        except errors.InvalidError:
            pass  # nothing has begun in it
        except (errors.KubeError, BackendError) as error:
            self._failure = error
        finally:
            self._ended = time.monotonic()

    def _keep(self, piece: bytes) -> None:
        """Write what fits.

        Raises:
            BackendError: there is no room for it on the disk.
        """
        kept = memoryview(piece)[: self._limits.bytes - self._size]
        self._dropped += len(piece) - len(kept)
        while kept:
            try:
                written = os.pwrite(self._file.fileno(), kept, self._size)
            except OSError as error:
                raise _no_room(error) from None
            self._size += written
            kept = kept[written:]

    def piece(self, query: LogQuery, *, is_over: bool) -> LogPiece:
        """Return a part of what was read."""
        offset = query.offset if query.offset >= 0 else max(0, self._size + query.offset)
        offset = min(offset, self._size)
        limit = max(0, min(query.limit, MAX_LOG_PIECE))
        data = os.pread(self._file.fileno(), limit, offset)
        has_all = self._task is not None and self._task.done() and self._failure is None
        return LogPiece(
            data=data,
            offset=offset,
            size=self._size,
            complete=is_over and has_all,
            dropped=self._dropped,
            missing=self._missing(),
        )

    def _missing(self) -> str:
        if not self._is_gone:
            return ""
        what = "the rest of what it printed" if self._size else "what it printed"
        return f"Pod {self._pod} is gone, and {what} with it."


def _no_room(error: OSError) -> BackendError:
    return BackendError(f"the log cannot be kept on this machine's disk: {error}")
