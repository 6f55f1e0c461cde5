"""A server whose disk is full: what it answers, what it keeps, and that it goes on.

Real: the server as a process, its runners, a small disk. Needs root.
"""

import json
import signal

import pytest

from support.disks import fill, small_disk
from support.server.rest import PROBLEM, Rest
from support.server.running import Server, factfile

TRIES = 60
"""Some still fit into what the files have left; none of them is as large as that."""


@pytest.fixture
def data(tmp_path):
    with small_disk(tmp_path / "data", 3 * 1024 * 1024) as folder:
        yield folder


def large(number):
    return factfile(f"echo {number} {'x' * 60_000};", name=f"job {number}")


def by_v1(server, number):
    return Rest(server).post("/v1/jobs", {"factfile": large(number)})


def by_the_original(server, number):
    path = server.write(f"job-{number}", large(number))
    body = {"jobName": f"job {number}", "factfilePath": str(path), "factfileArgs": []}
    return server.ask("/submit", body)


def refused(answer):
    problem = json.loads(answer.body)
    assert answer.headers["content-type"] == PROBLEM
    assert problem["type"] == "urn:factotum:problem:no-room"
    return problem["detail"]


def refused_as_ever(answer):
    return json.loads(answer.body)["message"].removeprefix("Error: ")


@pytest.mark.parametrize(
    ("submit", "good", "bad", "why"),
    [
        pytest.param(by_v1, 201, 507, refused, id="v1"),
        pytest.param(by_the_original, 200, 400, refused_as_ever, id="original"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_is(
    zygote, tmp_path, data, submit, good, bad, why
):
    with Server(zygote, tmp_path) as server:
        rest = Rest(server)
        first = rest.submit("true", name="before")
        rest.wait(first["key"])
        filler = fill(data)
        answers = [submit(server, number) for number in range(TRIES)]
        accepted = [number for number, answer in enumerate(answers) if answer.status == good]
        others = [answer for answer in answers if answer.status != good]
        assert {answer.status for answer in others} == {bad}
        assert "full" in why(others[-1])
        assert rest.read("/v1/jobs?limit=500")["total"] == 1 + len(accepted)
        filler.unlink()

        later = submit(server, TRIES)
        again = submit(server, TRIES - 1)
        assert (later.status, again.status) == (good, good)
        server.end(signal.SIGKILL)
        server.start()
        jobs = rest.read("/v1/jobs?limit=500")["jobs"]
        names = [f"job {number}" for number in (*accepted, TRIES, TRIES - 1)]
        assert sorted(job["name"] for job in jobs) == sorted([*names, "before"])
        for job in jobs:
            assert rest.wait(job["key"])["job"]["outcome"] == "SUCCEEDED"
