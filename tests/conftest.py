"""Fixtures of all tests. The clusters are real and shared by a session."""

from collections.abc import Iterator

import pytest

from support import clusters


@pytest.fixture(scope="session")
def control_plane() -> Iterator[clusters.Cluster]:
    """A real API server with its controllers and no node."""
    with clusters.running("test-api") as cluster:
        yield cluster
