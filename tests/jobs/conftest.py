"""Backends that the same tests run against, and a folder for what their jobs write."""

import pytest

from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.service import JobService
from support.consul.process import ConsulProcess
from support.server.backends import local
from support.server.ground import Ground
from support.server.running import factfile


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    """A Consul for the tests of one file."""
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture(scope="module")
def ground(installation, tmp_path_factory):
    """A cluster, its operator and its nodes."""
    with Ground(installation, tmp_path_factory.mktemp("ground")) as made:
        yield made


@pytest.fixture(params=["local", pytest.param("kubernetes", marks=pytest.mark.cluster)])
def make_backend(request):
    """Make a backend for a test, as an asynchronous context manager: every one must pass."""
    if request.param == "local":
        return local
    return request.getfixturevalue("ground").kubernetes


@pytest.fixture
async def checker():
    processes = CheckingProcesses("factotum", count=1)
    yield processes
    await processes.stop()


@pytest.fixture
async def service(make_backend, checker, tmp_path):
    async with make_backend(tmp_path) as backend:
        yield JobService(backend, checker)


@pytest.fixture
def waiting(tmp_path):
    """A factfile whose second task waits until it is released, and what releases it."""
    gate = tmp_path / "gate"
    command = f"echo begun; while ! [ -e {gate} ]; do sleep 0.02; done; echo over;"
    document = factfile(f"echo first >> {tmp_path}/ran;", command, f"echo third >> {tmp_path}/ran;")
    yield document, gate.touch
    gate.touch()  # also for what a test that failed has left running
