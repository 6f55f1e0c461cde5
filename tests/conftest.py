"""Fixtures of all tests. The clusters are real and shared by a session."""

from collections.abc import Iterator

import pytest

from support import clusters


@pytest.fixture(scope="session")
def control_plane() -> Iterator[clusters.Cluster]:
    """A real API server with its controllers and no node."""
    with clusters.running("test-api") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def job_api(control_plane: clusters.Cluster) -> clusters.Cluster:
    """A real API server that knows FactotumJobs."""
    crd = str(clusters.ROOT / "crds" / "factotumjobs.yaml")
    control_plane.kubectl("apply", "--server-side", "-f", crd)
    control_plane.kubectl("wait", "--for=condition=Established", "-f", crd)
    return control_plane
