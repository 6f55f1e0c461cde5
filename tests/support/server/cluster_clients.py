"""Our own client of the API, by a kubeconfig."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from kubernetes.aio import client as kube_client
from kubernetes.aio import config as kube_config

from factotum.kube.client import KubeClient


@contextlib.asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """Connect as a kubeconfig says."""
    configuration = kube_client.Configuration()
    await kube_config.load_kube_config(
        config_file=str(kubeconfig), client_configuration=configuration
    )
    async with KubeClient(configuration) as client:
        yield client
