"""Keys to look at again: each at most once at a time, now or later.

A key that is added while somebody works on it comes again afterwards, so no
event is lost, and no two workers ever have the same key.
"""

import asyncio
import time
from typing import Generic, TypeVar

Key = TypeVar("Key")


class WorkQueue(Generic[Key]):
    """A queue of distinct keys with delays."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._dirty: set[Key] = set()
        self._busy: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._since: dict[Key, float] = {}

    def __len__(self) -> int:
        """Return how many keys wait to be looked at now."""
        return len(self._dirty)

    def oldest_seconds(self) -> float:
        """Return for how long the key that came first is waiting or being looked at."""
        first = next(iter(self._since.values()), None)
        return 0.0 if first is None else time.monotonic() - first

    def __contains__(self, key: Key) -> bool:
        """Whether a key is looked at, or will be, now or later."""
        return key in self._dirty or key in self._busy or key in self._timers

    def add(self, key: Key) -> None:
        """Have a key looked at as soon as may be."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._busy:
            self._since[key] = time.monotonic()
            self._ready.put_nowait(key)

    def add_later(self, key: Key, seconds: float) -> None:
        """Have a key looked at after a time, unless it is sooner anyway."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, seconds)
        timer = self._timers.get(key)
        if key in self._dirty or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    def forget(self, key: Key) -> None:
        """Drop a key's timer: there is nothing to look at any more."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def get(self) -> Key:
        """Wait for a key; ``done`` must follow."""
        key = await self._ready.get()
        self._dirty.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """Say that a key was looked at."""
        self._busy.discard(key)
        self._since.pop(key, None)
        if key in self._dirty:
            self._since[key] = time.monotonic()
            self._ready.put_nowait(key)
