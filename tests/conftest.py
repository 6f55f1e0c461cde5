"""Fixtures of all tests. The clusters are real and shared by a session."""

import gc
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from support.cluster import clusters, operator_process
from support.cluster.workbench import Workbench
from support.server.forking import Zygote
from support.sharing import Shares, place_of

_NUMBERS = itertools.count(1)
_TESTS = Path(__file__).parent
_FOR_ALL = re.compile(r"^pytestmark = .*", re.MULTILINE)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Spare each worker the search for garbage among ten thousand tests, of which none is any."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


def pytest_ignore_collect(collection_path, config):
    """Leave out a module of whose tests `-m` can choose none: to load it takes a worker a while."""
    wanted = config.option.markexpr
    if collection_path.suffix != ".py" or not wanted or _may_hold(collection_path, wanted):
        return None
    return True


def _may_hold(path, wanted):
    """Tell whether a test of a module may have such marks, as far as its text tells."""
    above = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(_TESTS)]
    texts = [path.read_text(), *(file.read_text() for file in above if file.exists())]
    asked_for = "|".join(re.findall(r"\w+", wanted))
    mark = re.compile(rf"\bmark\.({asked_for})\b")
    all_have = set(mark.findall(" ".join(_FOR_ALL.findall(texts[0]))))
    some_have = sorted({name for text in texts for name in mark.findall(text)} - all_have)
    expression = Expression.compile(wanted)
    return any(
        expression.evaluate((all_have | set(more)).__contains__)
        for count in range(len(some_have) + 1)
        for more in itertools.combinations(some_have, count)
    )


def pytest_collection_modifyitems(items):
    """Have the long ones begin first."""
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep together what must be together."""
    return Shares(config, log) if config.option.dist == "loadscope" else None


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """The process that job servers are forked from."""
    with Zygote() as process:
        yield process


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
    control_plane.established(f"crd/{clusters.CRD}")
    return control_plane


@pytest.fixture(scope="session")
def installation() -> Iterator[operator_process.Installation]:
    """A real API server with our chart in it and three fake nodes; the operator is a process."""
    with clusters.running("test-operator", more=("--fake-nodes", "3")) as cluster:
        clusters.programs("helm")
        made = operator_process.install(cluster)
        yield made
        made.api.close()


@pytest.fixture
def bench(
    installation: operator_process.Installation, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Workbench]:
    """A namespace of the test's own there, and what is needed to run operators for it."""
    words = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    namespace = f"{words[:40].strip('-')}-{next(_NUMBERS)}"
    with Workbench(installation, namespace, tmp_path) as made:
        yield made
