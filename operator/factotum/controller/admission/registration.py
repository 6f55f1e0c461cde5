"""Telling the API server whom to trust: our authority, in our own webhook's configuration.

The chart makes the configuration; here only its ``caBundle`` is kept, once a minute and whenever
the authorities change. Without it the API server does not reach us, and goes on without.
"""

import asyncio
import base64
import logging
from typing import Final

from factotum.controller.tls.identity import Identity
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 60.0
_SOON_SECONDS: Final = 2.0


class Registration:
    """Keeps one ValidatingWebhookConfiguration."""

    def __init__(self, api: KubeApi, identity: Identity, name: str) -> None:
        self._api = api
        self._identity = identity
        self._name = name
        self._path = paths.item(paths.VALIDATING_WEBHOOKS, name)
        self._changed = asyncio.Event()
        self._told = ""
        identity.on_new_trust(self._changed.set)

    async def run(self) -> None:
        """Keep it, for ever."""
        while True:
            self._changed.clear()
            seconds = _LOOK_SECONDS if await self._look() else _SOON_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look(self) -> bool:
        """Look once; return whether all is well, or somebody must do something."""
        try:
            await self.keep()
        except errors.ConflictError:
            return False
        except errors.KubeError as exc:
            text = f"jobs are not looked at when they are made: {self._name}: {exc}"
            if text != self._told:
                logger.warning("%s", text)
            self._told = text
        else:
            self._told = ""
        return True

    async def keep(self) -> None:
        """Write our authorities into it, if others stand there.

        Raises:
            ConflictError: somebody else changed it meanwhile.
            KubeError: it is not there, or may not be changed, or the API server did not say.
        """
        raw = await self._api.get(self._path)
        bundle = base64.b64encode(self._identity.trusted.encode()).decode()
        webhooks = raw.get("webhooks") or []
        if all(each.get("clientConfig", {}).get("caBundle") == bundle for each in webhooks):
            return
        told = [
            each | {"clientConfig": each["clientConfig"] | {"caBundle": bundle}}
            for each in webhooks
        ]
        await self._api.replace(self._path, raw | {"webhooks": told})
        logger.info("the API server is told whom to trust, in %s", self._name)
