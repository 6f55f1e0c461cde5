"""Whatever runs by itself in an operator is watched: each task that ends makes it ill, by name.

Real: the whole operator in this process, the API server with our chart, Consul.
"""

import asyncio

import pytest
from kubernetes.aio.config import kube_config

from factotum.controller.operator import Operator
from factotum.controller.settings import Settings
from support.cluster.operator_process import RELEASE
from support.cluster.scraping import page
from support.consul.process import ConsulProcess, free_ports

pytestmark = [pytest.mark.cluster, pytest.mark.consul]

OF_OTHERS = {"Task-"}
"""Names that asyncio gives: of tasks whose parent has a name and ends with them."""


def named_tasks(before):
    return {
        task
        for task in asyncio.all_tasks() - before
        if not task.get_name().startswith(tuple(OF_OTHERS))
    }


@pytest.fixture
async def operator(bench, tmp_path, monkeypatch):
    # The library reads the variable only once, when it is imported.
    path = str(bench.installation.cluster.kubeconfig)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path)
    claims, health, metrics, admission = free_ports(4)
    with ConsulProcess.fresh(tmp_path / "consul") as consul:
        made = Operator(
            Settings(
                namespaces=(bench.namespace,),
                claims_host="127.0.0.1",
                claims_port=claims,
                liveness_host="127.0.0.1",
                liveness_port=health,
                metrics_host="127.0.0.1",
                metrics_port=metrics,
                admission_host="127.0.0.1",
                admission_port=admission,
                admission_webhook=RELEASE,
                consul_address=consul.address,
            )
        )
        made.health_address = ("127.0.0.1", health)
        yield made


async def test_each_task_that_ends_is_told_by_the_health_page(operator):
    before = asyncio.all_tasks()
    await operator.start()
    try:
        async with asyncio.timeout(60):
            # The last part to start is the mirror, once it leads.
            while "mirror" not in {t.get_name() for t in named_tasks(before)}:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        tasks = named_tasks(before)
        well = await asyncio.to_thread(page, operator.health_address, "/healthz")
        complaints = {}
        for task in tasks:
            known = operator._health.failure() or ""
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0)
            found = operator._health.failure() or ""
            complaints[task.get_name(), id(task)] = len(found) - len(known)
        ill = await asyncio.to_thread(page, operator.health_address, "/healthz")
    finally:
        await operator.stop()

    assert well == (200, "ok\n")
    assert sorted(name for name, _ in complaints) == [
        "door", "door", "door", "door", "election", "keeping of certificates", "mirror",
        "reconciler", "registration of the webhook", "sweep", "watch of Nodes", "watch of Pods",
        "watch of jobs",
    ]  # fmt: skip
    assert [name for (name, _), more in complaints.items() if more <= 0] == []
    assert ill[0] == 503
    assert "the sweep has ended" in ill[1]
    assert "the mirror has ended" in ill[1]
