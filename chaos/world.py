"""What a plan is run on: a cluster for all seeds, and a namespace with its operator for each."""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from chaos import plan, recording, weather
from chaos.api_server import ApiServer
from chaos.journal import Journal
from support.cluster import clusters, operator_process
from support.cluster.kube_api import ApiRefusedError, KubeApi, RawObject
from support.cluster.operator_process import OPERATOR_NAMESPACE, OperatorProcess
from support.consul.entries import PREFIX
from support.consul.process import ConsulProcess
from support.http.proxies import Act, Call, Proxy
from support.http.services import Service

_T = TypeVar("_T")

_PATIENCE_SECONDS = 120.0
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases"
_LEASE = f"{_LEASES}/factotum-factotum-operator"
"""By which operators settle who of them leads: its holder's name begins with that of its folder."""
_NAMESPACE_NUMBERS = itertools.count(1)


class _Standing:
    """What stands as a whole while it is used as a context manager, or not at all."""

    def __init__(self) -> None:
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        """Bring it up, each thing with how it goes."""
        raise NotImplementedError


class Ground(_Standing):
    """A cluster with our chart in it and a test node that plays all its nodes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _start(self) -> None:
        enter = self._cleanup.enter_context
        self._cleanup.callback(lambda: self.api_server.reap())
        cluster = enter(clusters.running("chaos", more=("--fake-nodes", str(plan.NODES))))
        clusters.programs("helm")
        self.installation = operator_process.install(cluster)
        self._cleanup.callback(self.installation.api.close)
        self.api_server = ApiServer(cluster)
        names = [f"fake-{n}" for n in range(1, plan.NODES + 1)]
        enter(operator_process.running_test_node(self.installation, self._folder / "node", *names))


class World(_Standing):
    """Everything of one seed. Use as a context manager.

    Attributes:
        names: of the jobs, by UID.
        held_back: UIDs of jobs whose first claim is kept back for a moment.
        locks: one for each thing that is disturbed, so that nobody thaws what another has killed.
    """

    def __init__(self, ground: Ground, seed: int, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.namespace = f"chaos-{seed}-{next(_NAMESPACE_NUMBERS)}"
        self.journal = Journal()
        self.api_server = ground.api_server
        self.api: KubeApi = ground.installation.api
        self.record = folder / "record"
        self.names: dict[str, str] = {}
        self.held_back: set[str] = set()
        self.locks = {name: threading.RLock() for name in ("operator", "api", "consul", "nodes")}
        self.claims_weather = weather.Weather(seed, weather.CLAIMS)
        self.api_weather = weather.Weather(seed, weather.API_WRITES)
        self._ground = ground

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.record.touch()
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default"
        self.api.wait_for(account, lambda _: True, "there")
        self._cleanup.callback(self.api.delete, f"/api/v1/namespaces/{self.namespace}")
        enter = self._cleanup.enter_context
        self.consul = enter(ConsulProcess.keeping(self.folder / "consul"))
        host, port = self.api.server.removeprefix("https://").split(":")
        self.api_proxy = enter(Proxy(host, int(port), tls=self.api.tls_without_identity()))
        self.claims_proxy = enter(Proxy("127.0.0.1", 0, as_operator=True))
        service = enter(Service())
        self.operators = [self._operator(f"operator-{n}") for n in range(1, plan.REPLICAS + 1)]
        service.backends = [operator.claims for operator in self.operators]
        self.claims_proxy.lead_to("127.0.0.1", service.port)
        self.claims_proxy.rule = self._fate_of_claim
        self.api_proxy.rule = self._fate_of_write
        for operator in self.operators:
            self._cleanup.callback(operator.kill)
            operator.start()
        self._wait_for_operators()
        self.claims_proxy.speak_for(self._ground.installation.certificates())

    def _wait_for_operators(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not all(operator.is_ready() for operator in self.operators):
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready:\n{self.operators[0].last_lines()}")
            time.sleep(0.1)

    def _operator(self, name: str) -> OperatorProcess:
        return OperatorProcess(
            self._ground.installation,
            self.folder / name,
            f"--namespace={self.namespace}",
            f"--max-workers={plan.WORKERS}",
            f"--consul-address={self.consul.address}",
            server=self.api_proxy.url,
            claims_url=self.claims_proxy.url,
        )

    def leader(self) -> OperatorProcess:
        """Give the operator that leads by the Lease; the first if that names none of them."""
        lease = self.request("GET", _LEASE) or {}
        holder = str(lease.get("spec", {}).get("holderIdentity") or "")
        named = (each for each in self.operators if holder.startswith(each.log.parent.name))
        return next(named, self.operators[0])

    # --- requests on their way ----------------------------------------------------------

    def _fate_of_claim(self, call: Call) -> Act:
        parts = call.path.split("/")  # /v1/claims/UID/ATTEMPT/LAUNCH
        if len(parts) > 3 and parts[2] == "claims" and parts[3] in self.held_back:
            self.held_back.discard(parts[3])
            return Act.DELAY
        return self.claims_weather.next_fate(weather.subject_of_claim(call, self.names))

    def _fate_of_write(self, call: Call) -> Act:
        if call.method == "GET":
            return Act.PASS
        return self.api_weather.next_fate(weather.subject_of_write(call))

    def clear_up(self) -> None:
        """Disturb requests no more."""
        self.held_back.clear()
        self.claims_weather.clear_up()
        self.api_weather.clear_up()

    # --- what is asked of the API server, which may be away -----------------------------

    def patiently(self, ask: Callable[[], _T]) -> _T:
        """Ask until the API server answers; a refusal of its own is an answer."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return ask()
            except (OSError, http.client.HTTPException, ValueError):
                if time.monotonic() > deadline:
                    raise
            except ApiRefusedError as error:
                if error.status < 500 and error.status != 429:
                    raise
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def request(self, method: str, path: str, body: object = None, **more: str) -> RawObject | None:
        """Send a request until it is answered; None if what it is about is not there, or is."""
        try:
            return self.patiently(lambda: self.api.request(method, path, body, **more))
        except ApiRefusedError as error:
            if error.status in (404, 409):
                return None
            raise

    def entries(self) -> dict[str, dict[str, Any]]:
        """Read everything that Consul has of this namespace, by job id."""
        found = {}
        for key in self.consul.keys(f"{PREFIX}/{self.namespace}"):
            raw = self.consul.get(key)
            if raw:
                found[key.rpartition("/")[2]] = json.loads(raw)
        return found

    def lines(self) -> list[recording.Line]:
        """Read what the tasks wrote down."""
        return recording.parse(self.record.read_text())
