"""Clusters for tests: real API servers from hack/local-cluster, brought up once a session.

Knows the cluster tool's command line only. A missing program is built by the tool or refused with
its own words; nothing is skipped.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "hack" / "local-cluster" / "cluster"
CRD = "factotumjobs.factotum.snowplowanalytics.com"


class Refused(Exception):  # noqa: N818 - tests read `raises(Refused)`
    """kubectl or another program ended with an error; the text is what it said."""


class Cluster(NamedTuple):
    """A cluster that runs, and how to speak to it."""

    name: str
    kubeconfig: Path
    programs: Path

    def kubectl(self, *arguments: str, manifest: Any = None, timeout: float = 120) -> str:
        """Run kubectl, with `manifest` on its standard input, and return what it prints."""
        text = None if manifest is None else json.dumps(manifest)
        return self.run("kubectl", *arguments, text=text, timeout=timeout)

    def run(
        self, program: str, *arguments: str, text: str | None = None, timeout: float = 120
    ) -> str:
        """Run a program of the cluster (kubectl, helm) against it."""
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            check=False,
        )
        if done.returncode:
            raise Refused(
                f"{program} {' '.join(arguments[:4])}: {done.stdout}{done.stderr}".strip()
            )
        return done.stdout

    def load(self, *archives: str) -> None:
        """Load image archives into the node."""
        _tool("load", "--name", self.name, *archives, timeout=300)

    def get(self, *arguments: str) -> Any:
        """Read objects as JSON."""
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def established(self, definition: str, *, seconds: float = 60.0) -> None:
        """Wait until the API server serves a definition, given as `kubectl get` takes it.

        Not `kubectl wait`: it ends with an error where a new definition has no conditions yet.
        """
        deadline = time.monotonic() + seconds
        while not _is_established(self.get(definition)):
            assert time.monotonic() < deadline, f"{definition} is not established"
            time.sleep(0.1)

    def apply(self, manifest: Any, *arguments: str) -> str:
        """Apply a manifest."""
        return self.kubectl("apply", "-f", "-", *arguments, manifest=manifest)


def _is_established(definition: Any) -> bool:
    told = definition.get("status", {}).get("conditions") or []
    return any((each["type"], each["status"]) == ("Established", "True") for each in told)


def programs(*names: str) -> Path:
    """Have programs built if they are not yet, and return the folder they are in."""
    if names:
        _tool("build", *names, timeout=900)
    return Path(_tool("bin"))


def source(module: str) -> Path:
    """Have a module's own files fetched, and return the folder they are in."""
    return Path(_tool("source", module, timeout=300))


def existing(name: str) -> Cluster:
    """Speak to a cluster that is up already."""
    return Cluster(name, Path(_tool("kubeconfig", "--name", name)), programs("kubectl"))


@contextlib.contextmanager
def running(
    name: str, *, profile: str = "control-plane", more: tuple[str, ...] = ()
) -> Iterator[Cluster]:
    """Bring a cluster up, and down again whatever happens."""
    remove_abandoned()
    name = f"{name}-{os.getpid()}"
    try:
        _tool("up", "--name", name, "--profile", profile, *more, timeout=900)
        yield existing(name)
    finally:
        _tool("down", "--name", name)


def remove_abandoned() -> None:
    """Take down the clusters of tests that were killed: one may have the machine's one node."""
    for name, pid in re.findall(r"^(test-[a-z]+-(\d+)): ", _tool("status"), re.MULTILINE):
        if not Path(f"/proc/{pid}").exists():
            _tool("down", "--name", name)


def _tool(*arguments: str, timeout: float = 120) -> str:
    done = subprocess.run(
        [sys.executable, str(TOOL), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise Refused(f"{TOOL.name} {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
    return done.stdout.strip()
