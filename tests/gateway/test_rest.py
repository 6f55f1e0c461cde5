"""v1: jobs submitted, listed, read, stopped and resumed over HTTP.

Real: the server as a process, its runners, its files; requests byte by byte.
"""

import json

import pytest

from support.server.forking import Zygote
from support.server.http import ask
from support.server.rest import PROBLEM, Rest
from support.server.running import Server, factfile


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    with Zygote() as zygote, Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield Rest(server)


@pytest.fixture(scope="module")
def failed(rest):
    """A job whose second task has failed."""
    job = rest.submit("echo first", "echo trouble >&2; exit 3", "echo never", name="fails")
    return rest.wait(job["key"])


def problem_of(answer):
    assert answer.headers["content-type"] == PROBLEM
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["title"]
    assert problem["detail"]
    assert problem["cure"]
    return problem


# --- submissions ---------------------------------------------------------------------------------


def test_a_factfile_in_the_request_becomes_a_job(rest):
    answer = rest.post("/v1/jobs", {"factfile": factfile("echo hello", name="Inline")})

    job = json.loads(answer.body)
    assert (answer.status, answer.headers["location"]) == (201, f"/v1/jobs/{job['key']}")
    assert (job["name"], job["factfilePath"], job["state"]) == ("Inline", "inline", "QUEUED")
    detail = rest.wait(job["key"])
    assert (detail["job"]["outcome"], detail["job"]["actions"]) == ("SUCCEEDED", [])
    assert [task["state"] for task in detail["tasks"]] == ["SUCCEEDED"]


def test_a_factfile_is_run_exactly_as_its_text_is(rest):
    text = json.dumps(factfile("echo spaces"), indent=5) + "\n \n"
    answer = rest.post("/v1/jobs", {"factfile": text, "name": "Text", "args": ["--tag", "a,b"]})

    job = json.loads(answer.body)
    assert (answer.status, job["name"], job["tags"]) == (201, "Text", {"a": "b"})
    assert rest.get(f"/v1/jobs/{job['key']}/factfile").body.decode() == text


def test_a_path_on_the_server_becomes_a_job(rest):
    rest.server.write("nightly.factfile", factfile("echo by path"))

    job = json.loads(rest.post("/v1/jobs", {"factfilePath": "nightly.factfile"}).body)

    assert (job["name"], job["factfilePath"]) == ("nightly", "nightly.factfile")


@pytest.mark.parametrize(
    ("document", "status", "kind", "place"),
    [
        ({}, 422, "empty-field", "/factfile"),
        ({"factfilePath": "absent.factfile"}, 422, "factfile-missing", "/factfilePath"),
        ({"factfile": '{\n "a":: 1}'}, 422, "refused-by-runner", "/factfile"),
        ({"factfile": {"schema": 1}}, 422, "refused-by-runner", None),
        ({"factfile": factfile("true"), "args": ["--sart", "x"]}, 422, "refused-by-runner", None),
        ({"factfile": factfile("true"), "args": "--start x"}, 422, "invalid", "/args"),
        ({"factfile": factfile("true"), "nmae": "x"}, 422, "invalid", "/nmae"),
        ({"factfile": factfile("true"), "name": "a\0b"}, 422, "invalid", "/name"),
        ({"factfile": factfile("true"), "name": ""}, 422, "invalid", "/name"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_what_cannot_run_is_refused_with_its_place_and_its_cure(
    rest, document, status, kind, place
):
    for path in ("/v1/jobs", "/v1/check"):
        answer = rest.post(path, document)

        problem = problem_of(answer)
        assert (answer.status, problem["type"]) == (status, f"urn:factotum:problem:{kind}")
        assert problem.get("pointer") == place


def test_a_mistake_in_the_factfile_is_told_by_line_and_column(rest):
    problem = problem_of(rest.post("/v1/check", {"factfile": '{\n "a":: 1}'}))

    assert problem["place"] == {"line": 2, "column": 7}


def test_all_mistakes_of_shape_are_told_one_by_one(rest):
    document = {"schema": "s", "data": {"name": "n", "tasks": [{"name": "a"}, {"name": "b"}]}}

    problem = problem_of(rest.post("/v1/check", {"factfile": document}))

    assert len(problem["violations"]) > 2


@pytest.mark.parametrize("body", [b"", b"{", b"[1,", b'{"name": "\xff"}', b"nul", b"\x00"])
def test_what_is_no_json_is_a_bad_request(rest, body):
    answer = ask(rest.server.port, "POST", "/v1/jobs", {"Content-Type": "application/json"}, body)

    assert answer.status in (400, 422)
    problem_of(answer)


def test_half_a_character_in_a_name_is_refused(rest):
    answer = ask(
        rest.server.port,
        "POST",
        "/v1/jobs",
        {"Content-Type": "application/json"},
        b'{"factfilePath": "x", "name": "\\ud800"}',
    )

    assert (answer.status, problem_of(answer)["pointer"]) == (422, "/name")


def test_what_does_not_say_that_it_is_json_is_not_read(rest):
    body = json.dumps({"factfile": factfile("true")}).encode()

    answer = ask(rest.server.port, "POST", "/v1/jobs", {"Content-Type": "text/plain"}, body)

    assert 400 <= answer.status < 500


def test_checking_shows_what_a_job_would_be_and_queues_nothing(rest):
    before = rest.read("/v1/jobs")["total"]

    checked = json.loads(
        rest.post(
            "/v1/check", {"factfile": factfile("true", "true"), "args": ["--tag", "x,y"]}
        ).body
    )

    assert (checked["tasks"], checked["tags"]) == (["task 0", "task 1"], {"x": "y"})
    assert [box["parents"] for box in checked["graph"]["boxes"]] == [[], [0]]
    assert rest.read("/v1/jobs")["total"] == before


def test_a_job_that_is_at_work_is_not_accepted_twice(rest):
    job = rest.submit("sleep 20", name="twin")

    problem = problem_of(rest.post("/v1/jobs", {"factfile": factfile("sleep 20", name="twin")}))

    assert (problem["status"], problem["type"]) == (409, "urn:factotum:problem:duplicate-job")
    assert rest.post(f"/v1/jobs/{job['key']}/cancel").status == 200


# --- orders --------------------------------------------------------------------------------------


def test_a_running_job_is_cancelled(rest):
    job = rest.submit("sleep 30", name="to cancel")
    rest.wait(job["key"], "WORKING")

    asked = json.loads(rest.post(f"/v1/jobs/{job['key']}/cancel").body)

    assert asked["order"] == "Cancel"
    ended = rest.wait(job["key"])["job"]
    assert (ended["outcome"], ended["reason"]) == ("FAILED", "Cancelled")


def test_a_suspended_job_goes_on_where_it_was(rest):
    flag = rest.server.folder / "go"
    job = rest.submit("echo once", f"test -e {flag} || sleep 30", name="to suspend")
    key = job["key"]
    rest.wait(key, "WORKING")

    assert rest.post(f"/v1/jobs/{key}/suspend").status == 200
    suspended = rest.wait(key, "QUEUED")["job"]
    assert (suspended["reason"], suspended["actions"]) == ("Suspended", ["resume", "cancel"])
    flag.touch()
    assert rest.post(f"/v1/jobs/{key}/resume").status == 200

    assert rest.wait(key)["job"]["outcome"] == "SUCCEEDED"


def test_a_failed_job_has_another_attempt_that_keeps_what_succeeded(rest):
    flag = rest.server.folder / "mended"
    job = rest.submit("echo once", f"test -e {flag}", name="to resume")
    assert rest.wait(job["key"])["job"]["actions"] == ["resume"]
    flag.touch()

    rest.post(f"/v1/jobs/{job['key']}/resume")

    detail = rest.wait(job["key"])
    assert (detail["job"]["outcome"], detail["job"]["attempt"]) == ("SUCCEEDED", 2)
    assert [attempt["reason"] for attempt in detail["attempts"]] == ["TaskFailed", "Succeeded"]
    first = rest.get(f"/v1/jobs/{job['key']}/log?task=0&attempt=1").body
    assert first == b"once\n"
    assert rest.get(f"/v1/jobs/{job['key']}/log?task=0&attempt=2").body == b""


def test_what_a_state_does_not_allow_is_a_conflict(rest, failed):
    for action in ("cancel", "suspend"):
        answer = rest.post(f"/v1/jobs/{failed['job']['key']}/{action}")

        assert (answer.status, problem_of(answer)["type"][-12:]) == (409, "not-possible")


def test_one_order_for_several_jobs_has_a_result_for_each(rest, failed):
    job = rest.submit("sleep 30", name="in bulk")
    keys = [job["key"], failed["job"]["key"], "999999"]

    results = json.loads(rest.post("/v1/orders", {"action": "cancel", "keys": keys}).body)[
        "results"
    ]

    assert [result["key"] for result in results] == keys
    assert [(result["problem"] or {}).get("status") for result in results] == [None, 409, 404]


# --- reading -------------------------------------------------------------------------------------


def test_a_list_is_filtered_by_outcome_text_and_tag_and_paged_from_new_to_old(rest, failed):
    made = [rest.submit("true", name=f"Page {n}", args=("--tag", f"page,{n}")) for n in range(5)]
    for job in made:
        rest.wait(job["key"])

    first = rest.read("/v1/jobs?text=PAGE&limit=3")
    second = rest.read(f"/v1/jobs?text=page&limit=3&cursor={first['cursor']}")

    assert [job["name"] for job in first["jobs"]] == ["Page 4", "Page 3", "Page 2"]
    assert [job["name"] for job in second["jobs"]] == ["Page 1", "Page 0"]
    assert (first["total"], second["cursor"]) == (5, "")
    by_tag = rest.read("/v1/jobs?tag=page=3")["jobs"]
    assert [job["key"] for job in by_tag] == [made[3]["key"]]
    broken = rest.read("/v1/jobs?outcome=FAILED&text=fails")["jobs"]
    assert failed["job"]["key"] in [job["key"] for job in broken]
    by_id = rest.read(f"/v1/jobs?text={made[0]['jobId'][:20]}")["jobs"]
    assert [job["key"] for job in by_id] == [made[0]["key"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "outcome=GOOD", "state=done", "tag=notag"]
)
def test_a_filter_that_cannot_be_is_told(rest, query):
    answer = rest.get(f"/v1/jobs?{query}")

    assert answer.status == 422
    assert problem_of(answer)["pointer"].split("/")[0] == query.partition("=")[0]


def test_a_failed_job_tells_which_task_and_why(failed):
    states = [task["state"] for task in failed["tasks"]]

    assert states == ["SUCCEEDED", "FAILED", "SKIPPED"]
    assert (failed["tasks"][1]["returnCode"], failed["job"]["reason"]) == (3, "TaskFailed")
    assert failed["job"]["endedAt"].endswith("Z")
    assert failed["job"]["tasks"] == {"total": 3, "done": 3, "failed": 1}


def test_logs_are_given_whole_by_task_and_by_part(rest, failed):
    base = f"/v1/jobs/{failed['job']['key']}/log"

    assert rest.get(f"{base}?task=0").body == b"first\n"
    assert rest.get(f"{base}?task=1").body == b"trouble\n"
    assert b"first" in rest.get(base).body
    part = rest.get(f"{base}?task=1&offset=-5&limit=3")
    assert (part.body, part.headers["factotum-log-offset"]) == (b"ubl", "3")
    assert part.headers["factotum-log-complete"] == "true"
    for query in ("task=3", "attempt=2"):
        assert problem_of(rest.get(f"{base}?{query}"))["status"] == 404


def test_a_large_log_comes_whole(rest):
    job = rest.submit("head -c 3000000 /dev/zero | tr '\\0' x", name="large")
    rest.wait(job["key"])

    answer = rest.get(f"/v1/jobs/{job['key']}/log?task=0")

    assert answer.body.count(b"x") == 3_000_000


def test_what_is_said_of_a_growing_log_is_said_of_the_part_that_comes(rest, tmp_path):
    count = f"n=0; until [ -e {tmp_path}/over ]; do printf '%09d\\n' $n; n=$((n + 1)); done;"
    job = rest.submit(count, name="growing")
    rest.wait(job["key"], "WORKING")
    path = f"/v1/jobs/{job['key']}/log?task=0&offset=-10&limit=10"
    places = set()
    try:
        for _ in range(300):
            part = rest.get(path)
            place = int(part.headers["factotum-log-offset"])
            places.add(place)
            line = place // 10
            text = f"{line:09}\n{line + 1:09}\n"[place % 10 :]
            assert part.body == text[: len(part.body)].encode()
    finally:
        (tmp_path / "over").touch()
    rest.wait(job["key"])
    assert len(places) > 3


def test_a_graph_comes_in_three_forms(rest, failed):
    base = f"/v1/jobs/{failed['job']['key']}/graph"

    shape = rest.read(base)
    svg, dot = rest.get(f"{base}?format=svg"), rest.get(f"{base}?format=dot")

    assert shape["names"] == ["task 0", "task 1", "task 2"]
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert b"task 1: FAILED" in svg.body
    assert b"b0 -> b1" in dot.body


@pytest.mark.parametrize("tail", ["", "/log", "/graph", "/events", "/log/events", "/factfile"])
@pytest.mark.parametrize("key", ["999999", "0", "..", "%2e%2e", "%2e%2e%2fx", "a%00b", "x" * 4000])
def test_jobs_that_there_are_not_are_not_found(rest, key, tail):
    answer = ask(rest.server.port, "GET", f"/v1/jobs/{key}{tail}")

    assert answer.status in (400, 404)


def test_a_path_or_method_that_there_is_not_is_a_problem(rest):
    assert problem_of(rest.get("/v1/absent"))["status"] == 404
    answer = ask(rest.server.port, "DELETE", "/v1/jobs")
    assert problem_of(answer)["status"] == 405


# --- the server itself ----------------------------------------------------------------------


def test_a_server_tells_how_busy_it_is(rest):
    state = rest.read("/v1/server")

    assert (state["workers"], state["draining"]) == (20, False)


def test_a_draining_server_refuses_jobs_and_tells_why(rest):
    rest.server.ask("/settings", {"state": "drain"})
    try:
        problem = problem_of(rest.post("/v1/jobs", {"factfile": factfile("true")}))
    finally:
        rest.server.ask("/settings", {"state": "run"})

    assert (problem["status"], problem["type"]) == (503, "urn:factotum:problem:draining")


def test_figures_and_health_are_told(rest, failed):
    figures = rest.get("/metrics").body.decode()

    assert 'factotum_server_jobs_ended_total{outcome="FAILED",reason="TaskFailed"}' in figures
    assert "factotum_server_workers 20.0" in figures
    assert rest.get("/healthz").body == rest.get("/readyz").body == b"ok\n"
