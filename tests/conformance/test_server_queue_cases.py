"""The job server's cases of queue, Consul and options for jobs: each has its id in its test's.

Real: the server as a process, its runners, raw requests, Consul behind a port.
"""

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.server.original import ECHO, PREFIX, body, log_of, message
from support.server.running import factfile, job_id_of

pytestmark = pytest.mark.consul


# --- queue --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "jobs"),
    [pytest.param(1, 4, id="S-085"), pytest.param(3, 10, id="S-160")],
)
def test_no_more_at_once_than_workers_and_all_end(make, tmp_path, workers, jobs):
    marks = f"echo + >> {tmp_path}/marks; sleep 0.1; echo - >> {tmp_path}/marks;"
    server = make(f"--max-workers={workers}")
    path = server.write("job", factfile(marks))
    ids = [server.submit(path, ["--tag", f"n,{n}"]) for n in range(jobs)]
    for job_id in ids:
        assert server.wait_for(job_id)["lastOutcome"] == "SUCCEEDED"
    running, most = 0, 0
    for mark in (tmp_path / "marks").read_text().split():
        running += 1 if mark == "+" else -1
        most = max(most, running)

    assert most == 1 if workers == 1 else most <= workers


@pytest.mark.parametrize("limit", [pytest.param(2, id="S-084")])
def test_a_queue_of_two(make, tmp_path, limit):
    waits = factfile(f"while ! [ -e {tmp_path}/go ]; do sleep 0.02; done;")
    server = make("--max-workers=1", f"--max-jobs={limit}")
    path = server.write("job", waits)
    ids = [server.submit(path, ["--tag", f"n,{n}"]) for n in range(1 + limit)]
    answer = server.ask("/submit", body(path, "--tag", "n,9"))
    (tmp_path / "go").touch()

    assert message(answer) == "Queue is full, cannot add job"
    for job_id in ids:
        server.wait_for(job_id)
    server.wait_for(server.submit(path, ["--tag", "n,9"]))


# --- Consul -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status"),
    [
        pytest.param("QUEUED", 400, id="S-161"),
        pytest.param("WORKING", 400, id="S-161.working"),
        pytest.param("DONE", 200, id="S-161.done"),
    ],
)
def test_entries_of_other_servers(make, gate, state, status):
    server = make("--consul-name=ours")
    path = server.write("job", ECHO)
    job_id = job_id_of(ECHO)
    request = {"jobId": job_id, "jobName": "j", "factfilePath": "/x", "factfileArgs": []}
    theirs = {"state": state, "jobRequest": request, "lastRunFrom": "theirs"}
    theirs["lastOutcome"] = "RUNNING" if state == "WORKING" else "WAITING"
    gate.put(f"{PREFIX}/{job_id}", json.dumps(theirs).encode())

    assert server.ask("/submit", body(path)).status == status
    if state == "DONE":
        server.wait_for(job_id)


@pytest.mark.parametrize("mode", [pytest.param("silent", id="S-174")])
def test_a_consul_that_does_not_answer(make, gate, mode):
    server = make()
    path = server.write("job", ECHO)
    gate.set(mode)
    began = time.monotonic()
    server.submit(path)
    seconds = time.monotonic() - began
    gate.set("ok")

    assert seconds < 10


@pytest.mark.parametrize("mode", [pytest.param("down", id="S-171")])
def test_consul_goes_away_while_a_job_runs(make, gate, tmp_path, mode):
    waits = factfile(f"while ! [ -e {tmp_path}/go ]; do sleep 0.02; done;")
    server = make()
    job_id = server.submit(server.write("job", waits))
    server.wait_for(job_id, "WORKING")
    gate.set(mode)
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 20
    while f"COMPLETED JOB REQ  jobId:[{job_id}]" not in log_of(server):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    gate.set("ok")

    server.wait_for(job_id)


@pytest.mark.parametrize("asked", [pytest.param("../x", id="S-154"), "x?y", "x%23", "/x"])
def test_ids_that_lead_elsewhere(make, gate, asked):
    answer = make().ask(f"/check?id={asked}")

    assert (answer.status, "No job entry found" in message(answer)) == (400, True)
    assert not [each for each in gate.seen if not each.path.startswith(f"/v1/kv/{PREFIX}/")]


@pytest.mark.parametrize("trials", [pytest.param(5, id="S-164")])
def test_one_job_on_two_servers_at_once(make, trials):
    servers = [make(f"--consul-name={name}", name=name) for name in ("one", "two")]
    paths = [server.write("job", ECHO) for server in servers]
    for trial in range(trials):
        with ThreadPoolExecutor(2) as threads:
            answers = list(
                threads.map(
                    lambda n, trial=trial: servers[n].ask(
                        "/submit", body(paths[n], "--tag", f"n,{trial}")
                    ),
                    (0, 1),
                )
            )
        # A job may be over before the other server is asked: then that one runs it again.
        assert 200 in {each.status for each in answers}
        assert {each.status for each in answers} <= {200, 400}


# --- options for jobs, log ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "args", "outcome"),
    [
        pytest.param(["--webhook=nonsense"], [], "FAILED", id="S-181"),
        pytest.param(
            ["--webhook=http://127.0.0.1:9/", "--max-stdouterr-size=5"],
            ["--max-stdouterr-size=7"],
            "SUCCEEDED",
            id="S-181.size",
        ),
    ],
)
def test_options_of_the_server_for_its_jobs(make, options, args, outcome):
    server = make(*options)

    assert server.wait_for(server.submit(server.write("job", ECHO), args))["lastOutcome"] == outcome


@pytest.mark.parametrize(
    ("path", "word"),
    [
        pytest.param("/nope", "NoRoute", id="S-192"),
        pytest.param("/status/", "TrailingSlash", id="S-192.slash"),
    ],
)
def test_unknown_paths_are_in_the_log(make, path, word):
    server = make(log="warn")
    server.ask(path)

    assert re.search(rf" ERROR - Error handling:\n.*\nError was: {word}\n", log_of(server))


@pytest.mark.parametrize("clients", [pytest.param(8, id="S-195")])
def test_many_ask_for_the_status_and_submit_at_once(make, clients):
    server = make()
    path = server.write("job", ECHO)
    with ThreadPoolExecutor(clients) as threads:
        told = threads.map(lambda _: server.ask("/status").status, range(100))
        ids = threads.map(lambda n: server.submit(path, ["--tag", f"n,{n}"]), range(clients))

        assert {*told} == {200}
        assert len({*ids}) == clients


@pytest.mark.parametrize("count", [pytest.param(64, id="S-196")])
def test_more_silent_connections_than_the_original_has_threads(make, count):
    server = make()
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    began = time.monotonic()
    server.status()
    seconds = time.monotonic() - began
    for each in silent:
        each.close()

    assert seconds < 3
