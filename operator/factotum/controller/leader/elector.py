"""Getting the Lease, keeping it, giving it up.

Other replicas' renewals are timed by our own clock, from the moment they were
seen; our term by the moment a renewal was asked for. So no two replicas'
clocks are ever compared.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from factotum.controller.clock import Clock
from factotum.controller.leader import lease as lease_form
from factotum.controller.leader.lease import Lease, Me
from factotum.controller.leader.rules import (
    LOOK_SECONDS,
    RENEW_SECONDS,
    TAKE_AFTER_SECONDS,
    TERM_SECONDS,
    Sighting,
    has_nobody,
    wait_seconds,
)
from factotum.controller.leader.term import Term
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi, RawObject

logger = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 3.0
"""How long one request may take: there must be time for another within a term."""
_RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Leader:
    """Another replica, which leads as far as is known.

    Attributes:
        holder: how it stands in the Lease.
        address: HOST:PORT of its claims port.
    """

    holder: str
    address: str


class Elector:
    """One replica's part in the election.

    Args:
        api: not fenced: this is how one gets behind the fence.
        me: who we are.
        namespace: of the Lease.
        name: of the Lease.
        term: is extended with each renewal.
        clock: ours alone.
        is_fit: whether we could lead; whoever has not read the world cannot.

    Attributes:
        took_office: set once this replica leads.
        vacant: set while nobody else can be writing any more, as it seems.
    """

    def __init__(
        self,
        api: KubeApi,
        me: Me,
        *,
        namespace: str,
        name: str,
        term: Term,
        clock: Clock,
        is_fit: Callable[[], bool] = lambda: True,
    ) -> None:
        self.took_office = asyncio.Event()
        self.vacant = asyncio.Event()
        self._api = api
        self._me = me
        self._name = name
        self._collection = paths.collection(paths.LEASES, namespace)
        self._path = paths.item(paths.LEASES, name, namespace)
        self._term = term
        self._clock = clock
        self._is_fit = is_fit
        self._raw: RawObject = {}
        self._seen: Sighting | None = None
        self._own: set[str] = set()
        self._trouble = ""
        self._turned = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this replica leads."""
        return self.took_office.is_set() and self._term.left > 0

    def leader(self) -> Leader | None:
        """Return the other replica that leads; None if none is known to."""
        seen = self._seen
        if self.took_office.is_set() or seen is None:
            return None
        held = seen.lease
        # Its address may be somebody else's once it is gone.
        is_alive = wait_seconds(seen, self._clock.boottime(), self._own) > 0
        if not is_alive or not held.holder or not held.address:
            return None
        return Leader(held.holder, held.address)

    async def settled(self, vacancy: Sighting | None) -> bool:
        """Wait until a vacant Lease is ours, or not vacant any more; return which.

        Args:
            vacancy: what ``sighting`` was while it was vacant.
        """
        while self._seen is vacancy and not self.took_office.is_set():
            await self._turned.wait()
        return self._seen is vacancy

    @property
    def sighting(self) -> Sighting | None:
        """What stands in the Lease, as long as nobody else has changed it the same object."""
        return self._seen

    async def run(self) -> None:
        """Take part for ever."""
        while True:
            pause = await self.turn()
            self._turned.set()
            self._turned.clear()
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """See who has the Lease; have one that nobody holds if there is none.

        Raises:
            KubeError: it cannot be read or made.
        """
        async with asyncio.timeout(_REQUEST_SECONDS):
            try:
                self._raw = await self._api.get(self._path)
            except errors.NotFoundError:
                # To be watched for a while, as every other one: "there is none" can hide that
                # there was one a moment ago.
                body = lease_form.unheld(self._name, self._clock.now(), TAKE_AFTER_SECONDS)
                self._raw = await self._api.create(self._collection, body)
        held = Lease.from_raw(self._raw)
        now = self._clock.boottime()
        before = self._seen
        self._seen = Sighting(held, now) if before is None else before.seen_again(held, now)
        if before is None and held.is_of(self._me.identity):
            # Before us there was another process of our name. It cannot come later.
            self._own.add(held.holder)
        if before is None or before.lease.holder != held.holder:
            logger.info("the Lease %s is held by %s", self._name, held.holder or "nobody")

    async def turn(self) -> float:
        """Do what is to be done now; return after how many seconds to come again."""
        try:
            pause = await (self._renew() if self.took_office.is_set() else self._stand_by())
        except (errors.KubeError, TimeoutError) as exc:
            self._troubled(str(exc) or "no answer in time")
            if self._term.is_over():
                self._term.lose("the Lease could not be renewed in time")
            return _RETRY_SECONDS
        self._trouble = ""
        return pause

    def _troubled(self, message: str) -> None:
        if message != self._trouble:
            logger.warning("the Lease %s: %s", self._name, message)
        self._trouble = message

    # --- standing by ------------------------------------------------------------------

    async def _stand_by(self) -> float:
        await self.look()
        seen, now = self._seen, self._clock.boottime()
        if seen is None or not has_nobody(seen, now, self._own):
            self.vacant.clear()
            return LOOK_SECONDS
        self.vacant.set()
        wait = wait_seconds(seen, now, self._own)
        if wait > 0:
            return min(wait, LOOK_SECONDS)
        if not self._is_fit():
            return _RETRY_SECONDS
        try:
            await self._write()
        except (errors.ConflictError, errors.NotFoundError):
            return _RETRY_SECONDS  # somebody else was faster
        logger.info("%s leads from now on", self._me.holder)
        self.took_office.set()
        return RENEW_SECONDS

    async def _write(self) -> None:
        """Write that the Lease is ours, and have the term begin when that was asked for."""
        began = self._clock.boottime()
        self._own.add(self._me.holder)
        body = lease_form.held(
            self._raw, self._name, self._me, self._clock.now(), TAKE_AFTER_SECONDS
        )
        left = self._term.left if self.took_office.is_set() else _REQUEST_SECONDS
        async with asyncio.timeout(min(_REQUEST_SECONDS, left)):
            if self._raw:
                self._raw = await self._api.replace(self._path, body)
            else:
                self._raw = await self._api.create(self._collection, body)
        self._term.extend(began + TERM_SECONDS)

    # --- leading ----------------------------------------------------------------------

    async def _renew(self) -> float:
        if self._term.is_over():
            self._term.lose("the Lease was not renewed in time")
        if self._term.left <= 0:
            return RENEW_SECONDS
        try:
            await self._write()
        except (errors.ConflictError, errors.AlreadyExistsError):
            await self.look()
        except errors.NotFoundError:
            if not self._raw:
                raise  # there is no such namespace
            logger.warning("the Lease %s was deleted, it is made again", self._name)
            self._raw = {}
        else:
            return RENEW_SECONDS
        holder = Lease.from_raw(self._raw).holder if self._raw else ""
        # What was deleted or emptied by hand is still ours, until somebody else has taken it.
        if holder not in ("", self._me.holder):
            self._term.lose(f"the Lease is held by {holder}")
        return 0.0

    async def release(self) -> None:
        """Give the Lease up, so that another replica leads at once; ``run`` has ended."""
        if not self.leads:
            return
        self._term.end()
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                # A renewal may have been under way when this was asked for, and come between.
                while not await self._let_go():
                    pass
        except (errors.KubeError, TimeoutError) as exc:
            logger.warning("the Lease %s could not be given up: %s", self._name, exc)
        else:
            logger.info("%s gave up the Lease %s", self._me.holder, self._name)

    async def _let_go(self) -> bool:
        """Write that nobody holds the Lease, if we do; False if it was changed meanwhile."""
        raw = await self._api.get(self._path)
        if Lease.from_raw(raw).holder == self._me.holder:
            body = lease_form.released(raw, self._name, self._clock.now())
            try:
                await self._api.replace(self._path, body)
            except errors.ConflictError:
                return False
        return True
