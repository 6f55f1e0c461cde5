"""Renders the chart with the real helm."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from support.cluster import clusters

CHART = clusters.ROOT / "charts" / "factotum-operator"

Manifests = list[dict[str, Any]]


def read(text: str) -> Manifests:
    """Read rendered manifests; the parser in C, since the pure one takes longer than helm."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


Render = Callable[..., Manifests]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run helm."""
    program = str(clusters.programs("helm") / "helm")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def template(helm) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `helm template` with values as YAML knows them, under any release name."""

    def run(
        values: dict[str, Any] | None = None,
        *words: str,
        name: str = "factotum-operator",
        namespace: str = "factotum-system",
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values or {}, file)
            file.flush()
            return helm("template", name, str(CHART), "-n", namespace, "-f", file.name, *words)

    return run


@pytest.fixture(scope="session")
def render(template) -> Render:
    """Render the chart with some values set; the result is a list of manifests."""

    def run(*settings: str, values: dict[str, Any] | None = None, **names: str) -> Manifests:
        sets = [word for setting in settings for word in ("--set", setting)]
        done = template(values, *sets, **names)
        assert done.returncode == 0, done.stderr
        return read(done.stdout)

    return run


@pytest.fixture(scope="session")
def told(template) -> Callable[..., str]:
    """Render the chart with values that are wrong, and return what Helm says."""

    def run(*settings: str, values: dict[str, Any] | None = None) -> str:
        sets = [word for setting in settings for word in ("--set", setting)]
        done = template(values, *sets)
        assert done.returncode != 0, "rendered all the same"
        return done.stderr

    return run


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[clusters.Cluster]:
    """A real API server that knows nothing of us: the chart brings everything."""
    with clusters.running("test-chart") as cluster:
        yield cluster
