"""One browser, one server and a few jobs for all tests of the page."""

import json

import pytest

from support.browser import Browser
from support.server.rest import Rest
from support.server.running import Server, factfile


@pytest.fixture(scope="session")
def rest(zygote, tmp_path_factory):
    with Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield Rest(server)


@pytest.fixture(scope="session")
def browser(rest):
    with Browser(f"http://127.0.0.1:{rest.server.port}") as browser:
        yield browser


@pytest.fixture(scope="session")
def failed(rest):
    job = rest.submit(
        "echo first", "echo trouble; exit 3", "echo never", name="Fails in the middle"
    )
    return rest.wait(job["key"])["job"]


@pytest.fixture(scope="session")
def big(rest):
    """A chain of 500 before a fan of 1,499: as deep as it is wide. Its first task waits."""
    document = factfile("sleep 600", *["true"] * 1999, name="Two thousand")
    for number, task in enumerate(document["data"]["tasks"]):
        above = number - 1 if number <= 500 else 500
        task["dependsOn"] = [f"task {above}"] if number else []
    job = json.loads(rest.post("/v1/jobs", {"factfile": document}).body)
    yield job
    rest.post(f"/v1/jobs/{job['key']}/cancel")


@pytest.fixture(autouse=True)
def nothing_breaks(browser):
    yield
    assert browser.broken() == []
