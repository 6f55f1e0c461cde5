"""Renders the chart with the real helm."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from support.cluster import clusters

CHART = clusters.ROOT / "charts" / "factotum-operator"

Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run helm."""
    program = str(clusters.programs("helm") / "helm")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def render(helm) -> Render:
    """Render the chart with some values set; the result is a list of manifests."""

    def run(*settings: str) -> list[dict[str, Any]]:
        sets = [word for setting in settings for word in ("--set", setting)]
        done = helm("template", "factotum-operator", str(CHART), "-n", "factotum-system", *sets)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]

    return run


@pytest.fixture(scope="module")
def own_control_plane() -> Iterator[clusters.Cluster]:
    """A real API server that knows nothing of us: the chart brings everything."""
    with clusters.running("test-chart") as cluster:
        yield cluster
