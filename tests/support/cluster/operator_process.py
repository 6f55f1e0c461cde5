"""The operator as a process of this machine, with the rights that our chart gives it.

Its kubeconfig holds a token of the chart's service account, so every test that runs it proves the
chart's RBAC too. It can be killed, frozen and started again on the same port, as crash tests do.
"""

import base64
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import yaml

from factotum.controller.leader.lease import released
from factotum.controller.tls.authority import Material
from support.cluster import forking
from support.cluster.clusters import CRD, ROOT, Cluster
from support.cluster.kube_api import ApiRefusedError, KubeApi
from support.consul.process import free_ports

OPERATOR_NAMESPACE = "factotum-system"
ACCOUNT = "factotum-operator"
RELEASE = "factotum-factotum-operator"
ADMISSION_PATH = "/v1/admission"
AUDIT_USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{ACCOUNT}"
PROGRAMS = Path(sys.executable).parent
CHART = ROOT / "charts" / "factotum-operator"
LEASE = f"{OPERATOR_NAMESPACE}/factotum-factotum-operator"
"""The one that the chart's rights are for."""
_START_SECONDS = 60
_NODE_END_SECONDS = 60
VALUES = (
    f"serviceAccount.name={ACCOUNT}",
    "nodeSelector.nowhere=here",
    # Nobody is there: refused at once, and then jobs are stored all the same.
    f"admission.url=https://127.0.0.1:9{ADMISSION_PATH}",
)
"""Of the chart, where the operator is a process outside of the cluster."""
_ANYBODY = ssl.create_default_context()
_ANYBODY.check_hostname = False
_ANYBODY.verify_mode = ssl.CERT_NONE
"""Whether it is the operator, the runners find out; here is asked whether it is up."""


class Installation(NamedTuple):
    """A cluster with our chart in it."""

    cluster: Cluster
    api: KubeApi
    token: str
    audit_log: Path

    def ask_about_jobs(self, port: int) -> None:
        """Have the API server ask at a port of this machine before it stores a job."""
        root = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        while True:
            raw = self.api.get(f"{root}/{RELEASE}")
            url = f"https://127.0.0.1:{port}{ADMISSION_PATH}"
            raw["webhooks"][0]["clientConfig"]["url"] = url
            try:
                self.api.request("PUT", f"{root}/{RELEASE}", raw)
            except ApiRefusedError as error:
                if error.status != 409:
                    raise
            else:
                return

    def give_up_lease(self) -> None:
        """Have the next operator lead at once: those before it are dead, be it by a kill."""
        namespace, _, name = LEASE.partition("/")
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        given_up = released({}, name, datetime.now(UTC))
        if self.api.find(f"{path}/{name}"):
            self.api.patch(f"{path}/{name}", given_up)
        else:
            self.api.create(path, given_up)

    def stop_asking(self) -> Callable[[], None]:
        """Have the API server ask nobody about jobs; give what has it ask again."""
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/" + RELEASE

        def choose(namespaces: dict[str, object]) -> None:
            raw = self.api.get(path)
            raw["webhooks"][0]["namespaceSelector"] = namespaces
            self.api.request("PUT", path, raw)

        choose({"matchLabels": {"kubernetes.io/metadata.name": "none"}})
        return lambda: choose({})

    def certificates(self) -> Material:
        """Read what the operators of this cluster show."""
        path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/{RELEASE}-tls"
        data = {key: base64.b64decode(v).decode() for key, v in self.api.get(path)["data"].items()}
        return Material(
            trusted=data["ca.crt"],
            authority_key=data["ca.key"],
            chain=data["tls.crt"],
            key=data["tls.key"],
        )


def install(cluster: Cluster, *values: str) -> Installation:
    """Install the chart, where no operator Pod can start: the operator will be a process."""
    cluster.run(
        "helm",
        *("install", "factotum", str(CHART)),
        *("--namespace", OPERATOR_NAMESPACE, "--create-namespace"),
        *(word for value in VALUES for word in ("--set", value)),
        *(word for value in values for word in ("--set", value)),
    )
    cluster.established(f"crd/{CRD}")
    token = cluster.kubectl(
        *("create", "token", ACCOUNT, "--namespace", OPERATOR_NAMESPACE, "--duration", "3h")
    ).strip()
    audit_log = cluster.kubeconfig.parent / "log" / "audit.log"
    return Installation(cluster, KubeApi(cluster.kubeconfig), token, audit_log)


class OperatorProcess:
    """One operator, on ports of its own that it keeps over restarts."""

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        *flags: str,
        server: str = "",
        claims_url: str = "",
        prefix: Sequence[str] = (),
        programs: Path | None = PROGRAMS,
        identity: str = "",
    ) -> None:
        """Prepare; `start` begins.

        Args:
            installation: what it works for.
            folder: for its kubeconfig and log.
            flags: more flags of factotum-operator.
            server: the API server's address, if it is to go by another way.
            claims_url: where Pods find it, if they are to go by another way.
            prefix: command that runs it.
            programs: where its program is, if it is another version's; None: nowhere, it is forked
                with its modules loaded.
            identity: its name among replicas, if it is not its folder's; who has the name of one
                that was killed leads at once.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._installation = installation
        self.log = folder / "operator.log"
        claims, health, metrics, self.admission = free_ports(4)
        self.health = ("127.0.0.1", health)
        self.metrics = ("127.0.0.1", metrics)
        self.claims = ("127.0.0.1", claims)
        self.url = f"https://127.0.0.1:{claims}"
        self.starts = 0
        self._is_forked = programs is None
        self._process: subprocess.Popen[bytes] | forking.Forked | None = None
        self._asking: http.client.HTTPSConnection | None = None
        self._folder = folder
        place = folder / forking.KUBECONFIG
        place.write_text(json.dumps(kubeconfig(installation, server)))
        # Its name stays over restarts, as a Pod's does; as variables, for versions without them.
        self._variables = {
            "KUBECONFIG": str(place),
            "FACTOTUM_LEASE": LEASE,
            "FACTOTUM_IDENTITY": identity or folder.name,
        }
        self._command = [
            *prefix,
            str((programs or PROGRAMS) / "factotum-operator"),
            f"--claims-address=127.0.0.1:{claims}",
            f"--claims-url={claims_url or self.url}",
            f"--liveness-address=127.0.0.1:{health}",
            f"--metrics-address=127.0.0.1:{metrics}",
            f"--operator-namespace={OPERATOR_NAMESPACE}",
            f"--tls-secret={RELEASE}-tls",
            f"--admission-address=127.0.0.1:{self.admission}",
            f"--admission-webhook={RELEASE}",
            "--runner-image=localhost/factotum-runner:0.1.0",
            *flags,
        ]

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise AssertionError("the operator does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it; it is ready some time later."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FACTOTUM_")}
        environment |= self._variables
        with self.log.open("ab") as log:
            if self._is_forked:
                self._process = forking.fork(
                    forking.OPERATOR,
                    self._command,
                    log,
                    environment=environment,
                    folder=self._folder,
                )
            else:
                self._process = subprocess.Popen(
                    self._command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self.starts += 1

    def wait_ready(self, *, leading: bool = True) -> None:
        """Wait until it takes claims, as the one that leads if not told otherwise."""
        deadline = time.monotonic() + _START_SECONDS
        while not (self.is_leading() if leading else self.is_ready()):
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"the operator ended; its last lines:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the operator is not ready:\n{self.last_lines()}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Tell whether it takes claims, be it to pass them on."""
        return bool(self._readiness())

    def is_leading(self) -> bool:
        """Tell whether it takes claims by itself."""
        return self._readiness() not in ("", "standing by")

    def _readiness(self) -> str:
        """Ask by the line of the last time, if it is still good: to open one costs most of it."""
        kept, self._asking = self._asking, None
        for connection in ([kept] if kept else []) + [self.connection(seconds=1)]:
            try:
                connection.request("GET", "/readyz")
                answer = connection.getresponse()
                text = answer.read().decode()
            except TimeoutError:
                connection.close()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
            else:
                self._asking = connection
                return text if answer.status == 200 else ""
        return ""

    def _hang_up(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def connection(self, *, seconds: float) -> http.client.HTTPSConnection:
        """Prepare a connection to the claims port, whoever is there."""
        return http.client.HTTPSConnection(*self.claims, timeout=seconds, context=_ANYBODY)

    def be_asked(self) -> None:
        """Have the API server ask this one about jobs that are made."""
        self._installation.ask_about_jobs(self.admission)

    def has_ended(self) -> bool:
        """Tell whether it ended by itself."""
        return self._process is not None and self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once it ended by itself."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """Kill it, as a machine that loses power."""
        self._hang_up()
        if self._process is not None:
            # The group: with a prefix such as `unshare` the operator is its child.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """End it as Kubernetes does, and give its exit code."""
        if self._process is None:
            raise AssertionError("the operator does not run")
        self._hang_up()
        self._process.terminate()
        code = self._process.wait(30)
        self._process = None
        return code

    def freeze(self) -> None:
        """Let it live on without a moment of time."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def last_lines(self) -> str:
        """Give the end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


def kubeconfig(installation: Installation, server: str = "") -> dict[str, object]:
    """Build a kubeconfig with the rights of the operator, to a server other than usual if given."""
    raw = yaml.safe_load(installation.cluster.kubeconfig.read_text())
    entry = raw["clusters"][0]["cluster"]
    entry = {"server": server} if server else entry
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": entry}],
        "users": [{"name": "operator", "user": {"token": installation.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
        "current-context": "test",
    }


@contextlib.contextmanager
def running_test_node(
    installation: Installation, folder: Path, *words: str, is_forked: bool = False
) -> Iterator[subprocess.Popen[bytes] | forking.Forked]:
    """Run a test node: it plays kubelet and runs the real runner as local processes.

    Args:
        installation: what it works for.
        folder: for its log and its Pods.
        words: more options of it, and names of nodes.
        is_forked: it starts with its modules loaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = (
        *("--kubeconfig", str(installation.cluster.kubeconfig)),
        *("--runner", f"{PROGRAMS / 'factotum'} work"),
        *("--folder", str(folder / "pods")),
        *words,
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "hack" / "test-node")}
    process: subprocess.Popen[bytes] | forking.Forked
    with (folder / "test-node.log").open("ab") as log:
        if is_forked:
            command = (forking.TEST_NODE, *options)
            process = forking.fork(
                forking.TEST_NODE, command, log, environment=environment, folder=Path.cwd()
            )
        else:
            process = subprocess.Popen(
                [sys.executable, "-m", "test_node", *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    try:
        yield process
        if process.poll() is not None:
            text = (folder / "test-node.log").read_text()[-3000:]
            raise AssertionError(f"the test node ended:\n{text}")
    finally:
        process.terminate()
        try:
            process.wait(_NODE_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
