"""The API server of a local cluster as a process that can be killed, frozen and started again."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from support.cluster.clusters import Cluster

_START_SECONDS = 120.0


class ApiServer:
    """One API server: started again it has the same command, environment, port and log."""

    def __init__(self, cluster: Cluster) -> None:
        state = cluster.kubeconfig.parent
        self._pid = int(json.loads((state / "cluster.json").read_text())["pids"]["kube-apiserver"])
        proc = Path(f"/proc/{self._pid}")
        self._command = (proc / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
        pairs = (proc / "environ").read_bytes().decode().rstrip("\0").split("\0")
        self._environment = dict(pair.split("=", 1) for pair in pairs)
        self._folder = state
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill it, as a machine that loses power."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def start(self) -> None:
        """Start it again and wait until it is ready."""
        with (self._folder / "log" / "kube-apiserver.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pid = self._process.pid
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the API server does not start again; see its log")
            time.sleep(0.1)

    def freeze(self) -> None:
        """Let it live on without a moment of time."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def reap(self) -> None:
        """Wait for its end, after whoever ends the cluster has ended it."""
        if self._process is not None:
            self._process.wait(30)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _is_ready(self) -> bool:
        done = subprocess.run(
            [str(self._cluster.programs / "kubectl"), "get", "--raw", "/readyz"],
            env=os.environ | {"KUBECONFIG": str(self._cluster.kubeconfig)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return done.returncode == 0
