"""Lines and searches of logs as v1 gives them: by run and by task, and what is refused.

Real: the server as a process, its runners and what they print.
"""

import json

import pytest

from support.server.rest import Rest
from support.server.running import Server


@pytest.fixture(scope="module")
def rest(zygote, tmp_path_factory):
    with Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield Rest(server)


@pytest.fixture(scope="module")
def job(rest):
    made = rest.submit("seq -f 'row %.0f' 1 1000", "printf 'Gr\\303\\274\\303\\237e\\nend'")
    return rest.wait(made["key"])["job"]


def test_lines_come_by_number_by_place_and_from_the_end(rest, job):
    path = f"/v1/jobs/{job['key']}/log/lines"

    found = rest.read(f"{path}?task=0&line=500&limit=8")
    assert (found["text"], found["first"]["line"], found["wanted"]["line"]) == (
        "row 500\n",
        500,
        500,
    )
    assert (found["complete"], found["dropped"]) == (True, 0)
    following = rest.read(f"{path}?task=0&offset={found['end']}&limit=16")
    assert (following["text"], following["first"]["line"]) == ("row 501\nrow 502\n", 501)
    before = rest.read(f"{path}?task=0&offset={found['first']['offset']}&before=20&limit=0")
    assert (before["text"], before["first"]["line"]) == ("row 498\nrow 499\n", 498)
    assert rest.read(f"{path}?task=1")["text"] == "Grüße\nend\n"
    assert rest.read(f"{path}?task=0&line=1001")["wanted"] is None
    assert rest.read(f"{path}?task=1&line=2")["wanted"] == {"offset": 8, "line": 2}
    run = rest.read(f"{path}?offset=0&limit=1000000")
    whole = rest.get(f"/v1/jobs/{job['key']}/log").body.decode()
    assert (run["text"], run["end"]) == (whole, run["size"])


def test_a_search_goes_on_where_it_stopped(rest, job):
    path = f"/v1/jobs/{job['key']}/log/search"
    found, values, rounds = [], "", 0
    while True:
        answer = rest.read(f"{path}?task=0&text=ROW+9&limit=40{values}")
        found += answer["matches"]
        rounds += 1
        if answer["finished"]:
            break
        values = f"&offset={answer['next']['offset']}&line={answer['next']['line']}"
    rows = [9, *range(90, 100), *range(900, 1000)]
    assert [(each["line"], each["text"]) for each in found] == [(n, f"row {n}") for n in rows]
    assert rounds == 3

    assert rest.read(f"{path}?task=0&text=ROW&exact=true")["matches"] == []
    (match,) = rest.read(f"{path}?task=1&text=GR%C3%9C%C3%9FE")["matches"]
    assert match == {"offset": 0, "line": 1, "text": "Grüße"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("lines?task=2", 404),
        ("lines?attempt=2", 404),
        ("lines?line=0", 422),
        ("lines?limit=-1", 422),
        ("lines?limit=1048577", 422),
        ("lines?before=262145", 422),
        ("search", 422),
        ("search?text=", 422),
        (f"search?text={'x' * 201}", 422),
        ("search?text=a&offset=-1", 422),
        ("search?text=a&limit=1001", 422),
        ("search?text=a&task=2", 404),
    ],
)
def test_what_cannot_be_is_a_problem(rest, job, query, status):
    answer = rest.get(f"/v1/jobs/{job['key']}/log/{query}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(answer.body)["status"] == status


def test_any_text_is_looked_for_and_none_is_a_pattern(rest, job):
    for text in ("(a%2B)%2B%24", "%00", "%FF", "%0A", ".*", "%ED%A0%80", "row%201%0Arow%202"):
        answer = rest.read(f"/v1/jobs/{job['key']}/log/search?task=0&text={text}")
        assert (answer["matches"], answer["finished"]) == ([], True)
