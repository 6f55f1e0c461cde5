"""Submissions to the job server of a cluster, beside the same creations at the API server.

Real: the API server with our chart's rights, the job server by its command, tokens and their
reviews. Nobody runs the jobs, and the operator is not asked about them: what is measured is how
they come in.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster.sides import FACTOTUM, factfile
from benchmarks.job_server import clients
from benchmarks.job_server.paces import CLIENTS, Paces
from benchmarks.measuring import Report
from support.cluster import clusters, operator_process
from support.cluster.operator_process import Installation, kubeconfig
from support.cluster.people import JOBS_ONLY, Person
from support.server.replicas import AUDIENCE, Replica, grant
from test_node.api import Api

BASE = "created at the API server"
_SUBMIT = "/submit"
_V1 = "POST /v1/jobs, a token"
_WHAT = "job server on a cluster: submissions"

Sender = Callable[[int, int, int], clients.Pace]
"""From how many clients, the first number and how many jobs to how fast they came in."""


def measure(report: Report, folder: Path, *, jobs: int, rounds: int) -> None:
    """Bring up a cluster and hand in jobs to it in three ways, in turns.

    Args:
        report: where figures go.
        folder: for files.
        jobs: how many each way hands in with 16 and with 256 clients; with one, a quarter.
        rounds: how often.
    """
    factfiles = folder / "factfiles"
    factfiles.mkdir()
    (factfiles / "job").write_text(json.dumps(factfile(1)))
    paces = Paces(BASE)
    with clusters.running("bench") as cluster:
        clusters.programs("helm")
        installation = operator_process.install(cluster)
        installation.stop_asking()
        for number in range(rounds):
            report.tell(f"job server on a cluster, round {number + 1}")
            namespace = f"bench-{number}"
            installation.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
            _hand_in(installation, namespace, folder / str(number), factfiles, jobs, paces)
    paces.show(report, {})


def _hand_in(
    installation: Installation,
    namespace: str,
    folder: Path,
    factfiles: Path,
    jobs: int,
    paces: Paces,
) -> None:
    """Do one round: two servers, one that asks who calls, and the API server."""
    granted = grant(installation, namespace)
    who = Person(installation.api, namespace, "caller", JOBS_ONLY)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/caller/token"
    token = installation.api.create(path, {"spec": {"audiences": [AUDIENCE]}})["status"]["token"]
    options = (
        f"--namespace={namespace}",
        f"--factfiles={factfiles}",
        "--rate=100000",
        "--max-jobs=100000",
    )
    with (
        Replica(granted, folder / "open", *options, "--no-authentication") as open_to_all,
        Replica(granted, folder / "guarded", *options) as guarded,
    ):
        for server in (open_to_all, guarded):
            server.until_ready()
        assert open_to_all.submit("job", "--tag", "n,first")[0] == 200
        (made,) = installation.api.items(FACTOTUM.path(namespace))
        direct = _Direct(granted._replace(token=who.token), namespace, folder, made)
        senders: dict[str, Sender] = {
            BASE: direct.send,
            _SUBMIT: _through(open_to_all.port, _submission),
            _V1: _through(guarded.port, lambda number: _document(number, token)),
        }
        first = 0
        for many in CLIENTS:
            count = jobs if many > 1 else max(1, jobs // 4)
            for label, send in senders.items():
                paces.note(_WHAT, many, label, send(many, first, count))
                first += count


def _through(port: int, build: Callable[[int], bytes]) -> Sender:
    def send(many: int, first: int, count: int) -> clients.Pace:
        requests = map(build, range(first, first + count))
        return clients.ask_all(port, many, requests, 600)

    return send


def _submission(number: int) -> bytes:
    args = ["--tag", f"n,{number}"]
    body = {"jobName": "bench", "factfilePath": "job", "factfileArgs": args}
    return clients.post("/submit", body)


def _document(number: int, token: str) -> bytes:
    body = {"name": "bench", "factfile": factfile(1), "args": ["--tag", f"n,{number}"]}
    return clients.post("/v1/jobs", body, token)


class _Direct:
    """Creates what the job server created, with other names, as somebody who may."""

    def __init__(
        self, person: Installation, namespace: str, folder: Path, made: dict[str, Any]
    ) -> None:
        self._path = FACTOTUM.path(namespace)
        self._kubeconfig = folder / "direct.kubeconfig"
        self._kubeconfig.write_text(json.dumps(kubeconfig(person)))
        metadata = {
            key: value
            for key, value in made["metadata"].items()
            if key in ("labels", "annotations", "finalizers")
        }
        self._pattern = {key: made[key] for key in ("apiVersion", "kind", "spec")}
        self._pattern["metadata"] = metadata

    def send(self, many: int, first: int, count: int) -> clients.Pace:
        """Create so many."""
        return asyncio.run(self._send(many, first, count))

    async def _send(self, many: int, first: int, count: int) -> clients.Pace:
        async with Api(self._kubeconfig, connections=many) as api:

            async def create(number: int) -> None:
                body = copy.deepcopy(self._pattern)
                body["metadata"]["name"] = f"direct-{number}"
                body["spec"]["tags"] = {"n": str(number)}
                await api.request("POST", self._path, body)

            numbers = iter(range(first, first + count))
            asking: Sequence[Callable[[Any], Any]] = [create] * many
            return await clients.keep_asking(asking, numbers, 600)
