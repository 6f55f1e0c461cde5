"""Whether Consul is there: found out cheaply, known to everybody at once.

Whoever meets a failure reports it; from then on nobody asks Consul but the one
watch here, which brings it back into use. Must not know entries or jobs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from factotum.persistence.errors import StoreError

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Every span of time of the mirror, in seconds."""

    take: float = 1.0
    """How long a job's Pod may wait for Consul."""
    late: float = 0.1
    """By how much our own event loop must be late for that not to be Consul's fault."""
    request: float = 5.0
    """How long a write-behind may take."""
    listing: float = 30.0
    """How long reading all entries may take."""
    probe: float = 1.0
    """How long a probe may take."""
    probe_every: float = 5.0
    """How often Consul is probed while it answers."""
    back_off: float = 0.2
    """The first pause between probes while it does not."""
    back_off_most: float = 4.0
    """The longest one."""
    quick: float = 0.5
    """Jobs wait for Consul again once a probe was as quick as this."""
    retry: float = 1.0
    """Pause before a key that could not be settled, or a Consul that was slow, is tried again."""
    revisit: float = 15.0
    """How often to look whether an entry is still another's, or its Pod still there."""


class Presence:
    """What is known of Consul now: in use (``up``), away (``down``), or not asked yet."""

    def __init__(self, probe: Callable[[], Awaitable[int]], timing: Timing) -> None:
        self._probe = probe
        self._timing = timing
        self._since = 0.0
        self._revision = 0
        self._quick = True
        self.up: Final = asyncio.Event()
        self.down: Final = asyncio.Event()
        self.reason = ""

    @property
    def prompt(self) -> bool:
        """Whether a job may wait for it: not known to be away, nor too slow of late."""
        return self._quick and not self.down.is_set()

    def lost(self, reason: str, *, slow: bool = False) -> None:
        """Say that it did not answer; ``slow``: a job waited for it in vain."""
        self._quick = self._quick and not slow
        if self.down.is_set():
            return
        self._since = asyncio.get_running_loop().time()
        self.reason = reason
        self.up.clear()
        self.down.set()
        _LOG.warning("Consul is away, jobs go on and their entries follow: %s", reason)

    async def watch(self, level: Callable[[], Awaitable[int]]) -> None:
        """Probe for ever; ``level`` brings the mirror level each time it may have to be."""
        pause = self._timing.back_off
        while True:
            try:
                revision = await self._ask()
                # A store that went back in time has lost entries.
                if not self.up.is_set() or revision < self._revision:
                    self._found(await level())
                self._revision = revision
                pause = self._timing.back_off
            except (StoreError, TimeoutError) as exc:
                self.lost(str(exc) or f"no answer within {self._timing.probe:g} s")
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._timing.back_off_most)
                continue
            try:
                again = self._timing.probe_every if self._quick else self._timing.retry
                async with asyncio.timeout(again):
                    await self.down.wait()
            except TimeoutError:
                continue

    async def _ask(self) -> int:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        probing = asyncio.ensure_future(self._probe())
        try:
            while not probing.done():
                before = loop.time()
                await asyncio.wait({probing}, timeout=self._timing.probe)
                # An answer that came while our own loop was busy is an answer.
                late = loop.time() - before - self._timing.probe
                if not probing.done() and late < self._timing.late:
                    raise TimeoutError
            revision = probing.result()
        finally:
            probing.cancel()
        self._quick = self._quick or loop.time() - asked < self._timing.quick
        return revision

    def _found(self, behind: int) -> None:
        if self.down.is_set():
            away = asyncio.get_running_loop().time() - self._since
            _LOG.warning("Consul is back after %.0f s, %d entries to write", away, behind)
        else:
            _LOG.info("Consul answers, %d entries to write", behind)
        self.down.clear()
        self.up.set()
