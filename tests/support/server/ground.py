"""A cluster for the job server's tests: one operator for all of them, and a namespace for each."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from factotum.jobs.kubernetes.backend import KubernetesBackend
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.persistence.entries import EntrySettings
from support.cluster.operator_process import Installation, OperatorProcess, running_test_node
from support.cluster.workbench import clear
from support.server.cluster_clients import client_of

_NUMBERS = itertools.count(1)
_NODES = ("fake-1", "fake-2", "fake-3")


class Ground:
    """An operator for all namespaces, and all nodes played. Use as a context manager.

    Args:
        installation: the cluster.
        folder: for logs.
    """

    def __init__(self, installation: Installation, folder: Path) -> None:
        self._installation = installation
        self._folder = folder
        self._workers = 0
        self._operator: OperatorProcess | None = None
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        node = running_test_node(self._installation, self._folder, *_NODES, is_forked=True)
        self._ends.enter_context(node)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_operator()
        self._ends.close()

    def _end_operator(self) -> None:
        if self._operator is not None:
            self._operator.kill()
            self._operator = None

    def _have_operator(self, workers: int) -> None:
        """Have an operator of so many workers, another than before if need be."""
        if self._operator is not None and self._workers == workers:
            return
        self._end_operator()
        self._installation.give_up_lease()
        folder = self._folder / f"operator-{next(_NUMBERS)}"
        flags = f"--max-workers={workers}"
        self._operator = OperatorProcess(self._installation, folder, flags, programs=None)
        self._operator.start()
        self._operator.wait_ready()
        self._workers = workers

    @contextlib.asynccontextmanager
    async def kubernetes(
        self, _folder: Path, *, workers: int = 20, **settings: Any
    ) -> AsyncIterator[KubernetesBackend]:
        """Have a backend for a namespace of its own."""
        self._have_operator(workers)
        api, namespace = self._installation.api, f"contract-{next(_NUMBERS)}"
        api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        api.wait_for(account, lambda _: True, "there")
        settings |= {"namespace": namespace, "workers": workers, "name": "box"}
        async with client_of(self._installation.cluster.kubeconfig) as client:
            backend = KubernetesBackend(
                client, ClusterSettings(**settings), EntrySettings(name="box")
            )
            await backend.start()
            try:
                while backend.missing():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
                yield backend
            finally:
                await backend.stop()
                clear(api, namespace)
