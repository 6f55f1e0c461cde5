"""The start of the operator: what it reads first may have to wait. The clock is real."""

import asyncio

import kopf
import pytest

from factotum.controller.starting import patiently
from factotum.controller.watch import handlers
from factotum.kube import errors


class Server:
    """Answers with these failures first, then with "read"."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.asked = 0

    async def read(self):
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return "read"


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(
            errors.from_status(504, "Timeout", "Too large resource version: 9, current: 5"),
            id="a server that is behind",
        ),
        pytest.param(errors.from_status(410, "Expired", "too old"), id="a list that took too long"),
        pytest.param(errors.UnreachableError("refused"), id="a server that is not up yet"),
        pytest.param(
            errors.from_status(403, "Forbidden", "no right to"),
            id="a server that has not read its rules yet",
        ),
    ],
)
async def test_a_list_that_fails_at_the_start_is_tried_again(failure):
    server = Server(failure)

    assert await patiently(server.read) == "read"
    assert server.asked == 2


async def test_a_list_that_stays_forbidden_ends_the_start():
    server = Server(*[errors.from_status(403, "Forbidden", "no right to")] * 9)

    with pytest.raises(errors.ForbiddenError):
        await patiently(server.read, forbidden_seconds=1.0)
    assert server.asked == 2


async def test_a_server_that_was_away_gets_its_time_to_read_its_rules():
    away, refusal = errors.UnreachableError("refused"), errors.from_status(403, "Forbidden", "no")
    server = Server(away, refusal)

    assert await patiently(server.read, forbidden_seconds=1.0) == "read"
    assert server.asked == 3


class Broken:
    """An operator whose start fails in a way that nobody thought of."""

    def __init__(self):
        self.starts = 0

    async def start(self):
        self.starts += 1
        raise KeyError("nobody thought of this")

    async def stop(self):
        pass

    def job_changed(self, kind, raw):
        pass


# kopf leaves tasks that it had not begun yet.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
async def test_a_start_that_fails_ends_the_process_whatever_the_reason():
    registry, operator = kopf.OperatorRegistry(), Broken()
    handlers.register(registry, operator)

    with pytest.raises(Exception, match="handlers failed"):
        await asyncio.wait_for(
            kopf.operator(registry=registry, standalone=True, clusterwide=True), 20
        )
    assert operator.starts == 1
