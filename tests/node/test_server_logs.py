"""Logs through the job server's backend, as a real kubelet gives them.

Real: kubelet, containerd, images, chart, the backend on Kubernetes.
"""

import asyncio
import json
import time

from factotum.jobs.checking import own
from factotum.jobs.kubernetes.backend import KubernetesBackend
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.views import LogQuery, Submission
from factotum.persistence.entries import EntrySettings
from support.builders.manifests import make_factfile, make_task
from support.server.cluster_clients import client_of

SECONDS = 90


async def test_a_log_is_followed_while_it_is_written_and_whole_at_the_end(kubelet, namespace):
    printing = "for n in 1 2 3 4 5; do echo line $n; sleep 1; done; echo"
    factfile = make_factfile(make_task("prints", command=printing, arguments=["the end"]))
    submission = Submission(name="prints", factfile=json.dumps(factfile))
    async with client_of(kubelet.kubeconfig) as client:
        settings = ClusterSettings(namespace=namespace)
        backend = KubernetesBackend(client, settings, EntrySettings(name="factotum"))
        await backend.start()
        try:
            while backend.missing():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
            view = await backend.create(own.check(submission, (), "factotum"))
            seen, data, deadline = [], b"", time.monotonic() + SECONDS
            while True:
                piece = await backend.log(view.key, LogQuery(offset=len(data)))
                assert piece.offset == len(data)
                data += piece.data
                if piece.data:
                    seen.append(piece.complete)
                if piece.complete:
                    break
                assert time.monotonic() < deadline, data
                await asyncio.sleep(0.2)
            job = (await backend.get(view.key)).job
            tail = await backend.log(view.key, LogQuery(offset=-20))
        finally:
            await backend.stop()

    assert job.outcome == "SUCCEEDED"
    lines = data.decode().splitlines()
    assert [line for line in lines if "line" in line][:1] != []
    assert all(any(f"line {n}" in line for line in lines) for n in range(1, 6))
    assert any("the end" in line for line in lines)
    assert len(seen) > 1, "it came all at once"
    assert data.endswith(tail.data)
    assert len(tail.data) == 20
