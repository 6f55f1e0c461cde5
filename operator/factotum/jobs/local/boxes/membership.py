"""That this box lives, as Consul sees it, and which other boxes do not.

A box holds a key by a session that it renews. Whoever finds the key free for long
enough, without having lost Consul in between, may take over from that box; what is
written then has the key's revision as a condition, so a box that is back in time
loses nothing. When a box holds its key again it first reads what it has lost. Until
then, and whenever its session may have run out, it begins no job.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from factotum.jobs.errors import BackendError
from factotum.jobs.local.boxes.claims import Keys
from factotum.persistence.errors import StoreConflictError, StoreError
from factotum.persistence.sessions import Held, Sessions, locked

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_PARTS: Final = 4
"""A session is renewed so many times before it can end."""
IDENTITY: Final = "box.json"


class Gone(NamedTuple):
    """A box whose key nobody holds."""

    revision: int
    """The key's; 0: there is none."""
    since: float


class Membership:
    """One box among others. Belongs to one event loop.

    Args:
        sessions: of Consul.
        keys: where boxes are written down.
        folder: the data folder, whose jobs the box has: it is the same box after a restart.
        name: what people call it.
        ttl_seconds: how long its session lives without being renewed, at least.
    """

    def __init__(
        self, sessions: Sessions, keys: Keys, folder: Path, *, name: str, ttl_seconds: float
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._path = folder / IDENTITY
        self._ttl_seconds = ttl_seconds
        self.host: Final = socket.gethostname()
        self._place = ""
        self.box = ""
        self.session = ""
        self._value = json.dumps({"host": self.host, "name": name, "pid": os.getpid()}).encode()
        self._is_settled = False
        self._is_double = False
        self._valid_until = 0.0
        self._gone: dict[str, Gone] = {}
        self._seen: set[str] = set()
        self._told = ""
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- life ------------------------------------------------------------------------------

    def start(self, settle: Callable[[], Awaitable[None]], on_renewed: Callable[[], None]) -> None:
        """Begin to live.

        Args:
            settle: reads what was lost; awaited whenever the box holds its key again. Quick:
                no renewal happens meanwhile.
            on_renewed: called after each renewal.
        """
        folder = self._path.parent
        self._place = f"{self.host}:{folder.absolute()}:{folder.stat().st_ino}"
        known = self._read()
        self.box = str(known.get("box") or secrets.token_hex(8))
        # A copy of the folder elsewhere must not live by the session of its original.
        is_here = known.get("place") == self._place
        self.session = str(known.get("session") or "") if is_here else ""
        self._task = asyncio.create_task(self._live(settle, on_renewed))

    async def stop(self) -> None:
        """Say nothing more; the session runs out unless a server on this folder takes it up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(
        self, settle: Callable[[], Awaitable[None]], on_renewed: Callable[[], None]
    ) -> None:
        while True:
            pause = self._ttl_seconds / _PARTS
            try:
                await self._renew(settle)
                if self.is_in:
                    on_renewed()
            except (StoreError, BackendError, OSError) as error:
                # Who could not see the others cannot say for how long they were away.
                self._gone.clear()
                pause = min(pause, _PAUSE_SECONDS)
                self._tell(str(error))
            except Exception:
                logger.exception("unexpected")
            self._tried.set()
            await asyncio.sleep(pause)

    async def _renew(self, settle: Callable[[], Awaitable[None]]) -> None:
        began = _now()
        if not self.session or not await self._sessions.renew(self.session):
            self._leave()
            self.session = await self._sessions.create(
                f"factotum box {self.box}", self._ttl_seconds
            )
            self._write()
        boxes = await self._sessions.tree(self._keys.boxes)
        own = self._keys.box(self.box)
        held = boxes.pop(own, None)
        if held is None or held.session != self.session:
            self._leave()
            if not await self._lock(own):
                return
        if not self._is_settled:
            await settle()
            self._is_settled = True
            logger.info("box %s has joined the others", self.box)
        self._valid_until = began + self._ttl_seconds
        self._told = ""
        self._note_others(boxes)

    async def _lock(self, own: str) -> bool:
        try:
            locking = locked(own, self._value, self.session)
            await self._sessions.transact(locking, is_urgent=True)
        except StoreConflictError:
            # Nobody else can have our id, except by a copy of the folder.
            self._is_double = True
            self._gone.clear()
            self._tell(f"another server that lives uses a copy of the data folder ({own})")
            return False
        self._is_double = False
        return True

    def _leave(self) -> None:
        self._valid_until = 0.0
        self._is_settled = False
        self._gone.clear()

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            logger.error("this box is not among the others in Consul: %s", text)

    # --- what is known -----------------------------------------------------------------------

    @property
    def is_in(self) -> bool:
        """Whether nobody can think yet that this box is lost."""
        return self._is_settled and _now() < self._valid_until

    def check_copy(self) -> None:
        """Make sure that no other server has a copy of the data folder.

        Raises:
            BackendError: one has.
        """
        if self._is_double:
            raise BackendError("another server uses a copy of this data folder; see --data-dir")

    async def tried(self, seconds: float) -> None:
        """Wait until Consul was asked for the first time, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tried.wait()

    def gone_for(self, seconds: float) -> dict[str, Gone]:
        """Return the boxes that have been gone for so long at least, as far as this one saw."""
        now = _now()
        return {box: gone for box, gone in self._gone.items() if now - gone.since >= seconds}

    def note_unknown(self, boxes: set[str]) -> None:
        """Know which boxes have jobs: those of them without any key are gone, too."""
        unknown = boxes - {self.box} - self._seen
        for box in [box for box, gone in self._gone.items() if not gone.revision]:
            if box not in unknown:
                del self._gone[box]
        for box in unknown:
            self._gone.setdefault(box, Gone(0, _now()))

    def _note_others(self, boxes: dict[str, Held]) -> None:
        now = _now()
        found = {path.removeprefix(f"{self._keys.boxes}/"): held for path, held in boxes.items()}
        self._seen = set(found)
        for box, held in found.items():
            known = self._gone.get(box)
            if held.session:
                self._gone.pop(box, None)
            elif known is None or known.revision != held.revision:
                self._gone[box] = Gone(held.revision, now)
        for box in [box for box, gone in self._gone.items() if gone.revision and box not in found]:
            del self._gone[box]  # it has no jobs any more, or is seen to have some

    # --- who it is ---------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        """Write down who the box is before anybody hears of it."""
        part = self._path.with_suffix(".part")
        text = json.dumps({"box": self.box, "session": self.session, "place": self._place})
        with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123 - to be synced
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def _now() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
