"""The server's parts put together for a cluster: its API, its rights, its jobs."""

import os
from pathlib import Path
from typing import Final, Self

from factotum.core.errors import FactotumError
from factotum.gateway.access.reviews import ReviewedAccess
from factotum.gateway.assembly import (
    NAME,
    NAMESPACE,
    SettingsError,
    appended,
    consul_access,
    hosts,
    shared_token,
)
from factotum.gateway.figures import Figures
from factotum.gateway.front import RATE, Front
from factotum.gateway.options import CONSUL_ACCESS, Options
from factotum.gateway.original.application import OriginalApplication
from factotum.gateway.original.endpoints import Endpoints
from factotum.gateway.original.requests import Application, Guard
from factotum.jobs.checking.folders import FolderChecker
from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.kubernetes.backend import KubernetesBackend
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.kubernetes.submitting.room import Operator
from factotum.jobs.service import JobService
from factotum.kube import paths
from factotum.kube.client import KubeClient
from factotum.kube.operators import Operators
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import EntrySettings

_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_AUDIENCE: Final = "factotum-server"
_DAY_SECONDS: Final = 86_400
_LONGEST_SECONDS: Final = 2**31 - 1
"""What the resource's schema takes; more would have every submission refused."""
_LOCAL_ONLY: Final = (
    *("--factotum-bin", "--data-dir", "--interrupted", "--log-size"),
    *("--boxes", "--takeover-after"),
)


class ClusterAssembly:
    """A server that is ready to start. Made within its event loop.

    Args:
        given: the options.
        client: the cluster.

    Raises:
        FactotumError: it cannot be made so.
    """

    def __init__(self, given: Options, client: KubeClient) -> None:
        self._client = client
        self._processes = CheckingProcesses("factotum")
        self._store = _store(given)
        namespace = _namespace(given)
        prefix = given.text("--consul-namespace", NAMESPACE)
        name = given.text("--consul-name", NAME)
        self.backend = KubernetesBackend(
            client,
            ClusterSettings(
                namespace=namespace,
                workers=given.max_workers,
                max_waiting=given.max_jobs,
                keep_seconds=keep_seconds(given),
                name=name,
                key_prefix=prefix.strip("/"),
            ),
            EntrySettings(
                prefix=prefix.strip("/"),
                name=name,
                bare_namespace=given.text("--consul-kubernetes-namespace", "default"),
            ),
            self._store,
            _operator(given),
        )
        checker = FolderChecker(self._processes, _folders(given))
        self.service = JobService(self.backend, checker, appended(given))
        if given.has("--no-authentication"):
            self.guard = Guard(shared_token(given))
        else:
            audience = given.text("--token-audience", _AUDIENCE)
            self.guard = Guard(access=ReviewedAccess(client, namespace, audience))
        self.front = Front(
            self.service,
            self.guard,
            Figures(),
            hosts=hosts(given),
            rate=given.number("--rate", RATE),
        )

    @classmethod
    async def connect(cls, given: Options) -> Self:
        """Make one for the cluster that this Pod or the kubeconfig belongs to.

        Raises:
            FactotumError: there is none, or it cannot be made so.
        """
        for option in _LOCAL_ONLY:
            if given.has(option):
                raise SettingsError(f"{option} is for jobs of this machine: leave it out")
        if given.has("--token-file") and not given.has("--no-authentication"):
            raise SettingsError(
                "--token-file: the cluster decides who may do what; leave it out, or say"
                " --no-authentication as well"
            )
        try:
            client = await KubeClient.from_environment()
        except Exception as error:  # noqa: BLE001 - whatever the library finds wrong in a kubeconfig
            raise SettingsError(f"no cluster is configured: {error}") from None
        try:
            return cls(given, client)
        except FactotumError:
            await client.close()
            raise

    def application(self) -> Application:
        """Return what serves requests."""
        doors = self.front.applications
        return OriginalApplication(Endpoints(self.service), self.guard, doors)

    async def start(self) -> None:
        """Begin to follow the cluster's jobs."""
        await self.backend.start()

    async def stop(self) -> None:
        """Let go of everything; jobs go on."""
        await self.backend.stop()
        await self._processes.stop()
        await self._client.close()
        if self._store is not None:
            self._store.close()


def keep_seconds(given: Options) -> int | None:
    """Return how long an ended job is kept; None: as the operator is told."""
    seconds = int(given.text("--keep") or "0") * _DAY_SECONDS
    return min(seconds, _LONGEST_SECONDS) or None


def _namespace(given: Options) -> str:
    namespace = given.text("--namespace")
    if not namespace:
        try:
            namespace = _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
        except OSError:
            namespace = "default"
    if not paths.is_namespace(namespace):
        raise SettingsError(f"--namespace {namespace!r:.80}: no namespace can be called so")
    return namespace


def _folders(given: Options) -> list[str]:
    folders = [folder for folder in given.text("--factfiles").split(":") if folder]
    for folder in folders:
        if not folder.startswith("/") or os.path.normpath(folder) != folder.rstrip("/"):
            raise SettingsError(f"--factfiles: {folder!r} is no absolute path; say where it begins")
    return folders


def _operator(given: Options) -> Operator | None:
    address = given.text("--operator")
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"--operator {address!r}: expected HOST:PORT, such as operator:8081")
    return Operators(host.strip("[]"), int(port))


def _store(given: Options) -> ConsulStore | None:
    address = given.text("--consul-address")
    if not address and not (given.has("--consul-ip") or given.has("--consul-port")):
        for option in CONSUL_ACCESS:
            if given.has(option):
                raise SettingsError(f"{option} is for the Consul at --consul-address: say where")
        return None
    address = address or f"{given.text('--consul-ip', '127.0.0.1')}:{given.consul_port}"
    return ConsulStore(address, consul_access(given))
