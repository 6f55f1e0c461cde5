"""Where our certificates come from: a Secret that every replica keeps, or files of somebody else.

Both are looked at once a minute and taken without a restart.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from factotum.controller.clock import Clock
from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, Material, UnusableError
from factotum.controller.tls.identity import Identity, try_out
from factotum.kube import errors, names, paths
from factotum.kube.api import KubeApi, RawObject

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
_TRIES: Final = 5
_FIELDS: Final = {
    "ca.crt": "trusted",
    "ca.key": "authority_key",
    "tls.crt": "chain",
    "tls.key": "key",
}


class Source(Protocol):
    """Where certificates come from."""

    async def look(self, identity: Identity) -> None:
        """Have the identity take what is there now.

        Raises:
            KubeError: the API server did not say.
            UnusableError: what is there cannot be used.
        """


class Files:
    """Certificates that somebody else makes and renews, such as cert-manager."""

    def __init__(self, *, trusted: str, chain: str, key: str) -> None:
        self._paths = {"trusted": Path(trusted), "chain": Path(chain), "key": Path(key)}

    async def look(self, identity: Identity) -> None:
        """Take what the files say now.

        Raises:
            UnusableError: they cannot be read, or do not belong together.
        """
        try:
            texts = {what: path.read_text("ascii") for what, path in self._paths.items()}
        except (OSError, UnicodeDecodeError) as exc:
            raise UnusableError(f"the certificates cannot be read: {exc}") from exc
        identity.take(**texts)


class Kept:
    """Certificates that we make and renew, in one Secret of the operator's namespace.

    Whichever replica comes first makes them, the others read. A Secret that was deleted or
    spoiled is written again as it was, so that running Pods go on trusting us.
    """

    def __init__(
        self,
        api: KubeApi,
        clock: Clock,
        *,
        namespace: str,
        name: str,
        hosts: Sequence[str],
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._folder = paths.collection(paths.SECRETS, namespace)
        self._path = paths.item(paths.SECRETS, name, namespace)
        self._name = name
        self._hosts = hosts
        self._lifetimes = lifetimes or Lifetimes()
        self._last: Material | None = None

    async def look(self, identity: Identity) -> None:
        """Take what the Secret says, having made or renewed it if need be.

        Raises:
            KubeError: the API server did not say, or refused.
        """
        material = await self._settled()
        identity.take(trusted=material.trusted, chain=material.chain, key=material.key)
        self._last = material

    async def _settled(self) -> Material:
        for _ in range(_TRIES):
            try:
                raw = await self._api.get(self._path)
            except errors.NotFoundError:
                raw = None
            found, wanted = self._judge(raw)
            if wanted is None and found is not None:
                return found
            made = wanted or self._made()
            try:
                await self._write(raw, made)
            except (errors.AlreadyExistsError, errors.ConflictError):
                continue  # another replica was first
            logger.info("certificates were made and are kept in the Secret %s", self._name)
            return made
        raise errors.UnreachableError(f"the Secret {self._name} changes all the time")

    def _judge(self, raw: RawObject | None) -> tuple[Material | None, Material | None]:
        """Return what is stored, and what is to be stored instead; nothing usable is neither."""
        if raw is None:
            return None, None
        try:
            found = _decoded(raw)
            due = authority.renew(found, self._hosts, self._clock.now(), self._lifetimes)
            shown = due or found
            if shown != self._last:
                host = self._hosts[0]
                try_out(trusted=shown.trusted, chain=shown.chain, key=shown.key, host=host)
        except UnusableError as exc:
            logger.warning("the Secret %s is written anew: %s", self._name, exc)
            return None, None
        return found, due

    def _made(self) -> Material:
        now = self._clock.now()
        if self._last is None:
            return authority.make(self._hosts, now, self._lifetimes)
        return authority.renew(self._last, self._hosts, now, self._lifetimes) or self._last

    async def _write(self, raw: RawObject | None, material: Material) -> None:
        data = {
            field: base64.b64encode(getattr(material, name).encode()).decode()
            for field, name in _FIELDS.items()
        }
        if raw is None:
            metadata = {"name": self._name, "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY}}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
            await self._api.create(self._folder, body)
        else:
            others = {k: v for k, v in (raw.get("data") or {}).items() if k not in data}
            await self._api.replace(self._path, raw | {"data": others | data})


def _decoded(raw: Mapping[str, Any]) -> Material:
    try:
        data = raw.get("data") or {}
        return Material(
            **{name: base64.b64decode(data[field]).decode() for field, name in _FIELDS.items()}
        )
    except (KeyError, ValueError) as exc:
        raise UnusableError(f"it does not hold {', '.join(_FIELDS)}") from exc


async def keep(source: Source, identity: Identity) -> None:
    """Look again and again, for ever."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await source.look(identity)
        except (errors.KubeError, UnusableError) as exc:
            logger.warning("the certificates cannot be looked at: %s", exc)
