"""What a start needs before anything runs: who this process is, and patience with the server.

An API server may be starting as well, and our kind may not be defined yet:
neither is a reason to end, and what is wrong for good still is.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from factotum.controller.leader.lease import Me
from factotum.controller.settings import Settings
from factotum.kube import errors

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

PAUSE_SECONDS: Final = 2.0
_START_SECONDS: Final = 120.0
_MISSING_PAUSE: Final = 5.0


def myself(settings: Settings) -> Me:
    """Return who this process is among its replicas."""
    process = os.urandom(16).hex()
    host = socket.gethostname()
    address = settings.advertise_address
    if not address:
        # A wildcard is no place to go to.
        is_anywhere = settings.claims_host in ("", "0.0.0.0", "::")  # noqa: S104 - compared only
        name = host if is_anywhere else settings.claims_host
        address = f"{name}:{settings.claims_port}"
    # What is made up for this process alone is never taken for one before it.
    return Me(
        identity=settings.identity or f"{host}-{process[:8]}", process=process, address=address
    )


async def patiently(
    read: Callable[[], Awaitable[_T]],
    *,
    forbidden_seconds: float = 30.0,
    may_be_missing: bool = False,
) -> _T:
    """Read something at the start; a server that is not ready itself gets some time.

    One that has just started refuses everything until it has read its rules.

    Args:
        read: reads it.
        forbidden_seconds: for how long it may be refused, once the server answers.
        may_be_missing: wait for as long as it takes while there is no such thing.

    Raises:
        KubeError: it stays refused, or there was no good answer for two minutes.
    """
    now = asyncio.get_running_loop().time
    began = now()
    refused: float | None = None
    was_missing = False
    while True:
        try:
            found = await read()
        except errors.NotFoundError:
            if not may_be_missing:
                raise
            if not was_missing:
                logger.warning("FactotumJobs are not served: is their definition installed?")
            was_missing, began = True, now()
            await asyncio.sleep(_MISSING_PAUSE)
            continue
        except errors.ForbiddenError as exc:
            # Counted from here: it may have been away for as long as that before.
            refused = now() if refused is None else refused
            if now() - refused >= forbidden_seconds:
                raise
            logger.warning("the API server is not ready yet: %s", exc)
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        except (errors.UnreachableError, errors.ExpiredError, TimeoutError) as exc:
            refused = None
            if now() - began >= _START_SECONDS:
                raise
            logger.warning("the API server is not ready yet: %s", exc)
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if not was_missing:
            return found
        # What is served is found out once more, from a list that may come a moment later.
        was_missing = False
        await asyncio.sleep(PAUSE_SECONDS)
