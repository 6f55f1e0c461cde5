"""Replicas of the job server on a cluster: processes with the rights that our chart gives them."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from support.cluster import forking
from support.cluster.operator_process import CHART, PROGRAMS, Installation, kubeconfig
from support.consul.process import free_ports
from support.server.http import Answered, ask

AUDIENCE = "factotum-server"
SYSTEM = "factotum-system"
ACCOUNT = "factotum-factotum-operator-gateway"
_JSON = {"Content-Type": "application/json"}


def grant(installation: Installation, namespace: str) -> Installation:
    """Give the chart's rights for a namespace; return the installation as its account sees it."""
    cluster = installation.cluster
    rendered = cluster.run(
        "helm",
        *("template", "factotum", str(CHART), "--namespace", SYSTEM),
        *("--set", f"gateway.enabled=true,gateway.namespace={namespace}"),
        *("--show-only", "templates/gateway-rbac.yaml"),
    )
    rights = list(yaml.safe_load_all(rendered))
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": rights})
    account = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}"
    made = installation.api.create(f"{account}/token", {"spec": {"expirationSeconds": 3600}})
    return installation._replace(token=made["status"]["token"])


class Replica:
    """One server.

    Args:
        granted: the cluster, and whose rights it has.
        folder: for its kubeconfig and log.
        options: further ones.
        server: the API server's address, if it is another than the cluster's.
    """

    def __init__(
        self, granted: Installation, folder: Path, *options: str, server: str = ""
    ) -> None:
        folder.mkdir(parents=True)
        self.port = free_ports(1)[0]
        self.log = folder / "server.log"
        place = folder / forking.KUBECONFIG
        place.write_text(json.dumps(kubeconfig(granted, server)))
        self._environ = os.environ | {"KUBECONFIG": str(place)}
        self._command = [
            *(str(PROGRAMS / "factotum"), "server", "--backend=kubernetes"),
            *(f"--port={self.port}", "--log-level=debug"),
            *options,
        ]
        self._process: forking.Forked | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = forking.fork(
                forking.SERVER,
                self._command,
                log,
                environment=self._environ,
                folder=self.log.parent,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def get(self, path: str, token: str = "") -> Answered:
        """Ask for something."""
        return ask(self.port, "GET", path, _bearer(token))

    def until_ready(self) -> None:
        """Wait until it serves."""
        wait_for(self._is_ready, [True])

    def _is_ready(self) -> bool:
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def post(self, path: str, document: object, token: str = "") -> Answered:
        """Send something."""
        body = json.dumps(document).encode()
        return ask(self.port, "POST", path, _JSON | _bearer(token), body)

    def submit(
        self, path: str, *args: str, name: str = "a job", token: str = ""
    ) -> tuple[int | None, str]:
        """Submit a job; return the answer's status and message."""
        document = {"jobName": name, "factfilePath": path, "factfileArgs": list(args)}
        answer = self.post("/submit", document, token)
        return answer.status, message(answer)


def message(answer: Answered) -> str:
    """Return an answer's message."""
    return str(json.loads(answer.body)["message"])


def write_factfiles(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write factfiles as a mounted ConfigMap has them: links to links."""
    data = folder / "..2026_01_01"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, document in files.items():
        (data / name).write_text(document if isinstance(document, str) else json.dumps(document))
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def wait_for(ask_again: Any, wanted: Sequence[Any], seconds: float = 30.0) -> Any:
    """Ask until an answer is one of those wanted; return it."""
    end = time.monotonic() + seconds
    while (answer := ask_again()) not in wanted:
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer
