"""What the original server does badly, seen on it, does not happen here.

Real: the server as a process, its runners, raw connections, Consul behind a port that
can be closed or fall silent.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.consul.process import ConsulProcess
from support.server.gate import ConsulGate
from support.server.http import ask, encode, read
from support.server.running import Server, factfile, job_id_of

PREFIX = "com.snowplowanalytics/factotum"
JSON = {"Content-Type": "application/json"}
AT_ONCE = 2.0
"""Seconds, many times what an answer takes and a fraction of what the original took."""


@pytest.fixture(scope="module")
def shared(zygote, tmp_path_factory):
    with Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture
def gate(consul):
    with ConsulGate(consul.address) as gate:
        yield gate


def with_consul(zygote, folder, gate, *options):
    return Server(zygote, folder, f"--consul-port={gate.port}", *options)


def seconds_of(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_silent_connections_hold_up_nobody(shared):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", shared.port)))
        half = stack.enter_context(socket.create_connection(("127.0.0.1", shared.port)))
        half.sendall(b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")

        assert seconds_of(shared.status) < AT_ONCE


def test_a_connection_that_falls_silent_or_drips_is_ended(shared):
    def fall_silent(begin):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=40) as line:
            line.sendall(begin)
            while line.recv(4096):
                pass

    def drip(_):
        with (
            socket.create_connection(("127.0.0.1", shared.port), timeout=40) as line,
            contextlib.suppress(OSError),
        ):
            line.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nX: ")
            for _ in range(80):
                line.sendall(b"x")
                time.sleep(0.5)
            pytest.fail("it was never ended")

    tries = [
        (fall_silent, b""),
        (fall_silent, b"GET /status HTTP/1.1\r\nHo"),
        (fall_silent, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET /st"),
        (fall_silent, b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"),
        (drip, None),
    ]
    began = time.monotonic()
    with ThreadPoolExecutor(len(tries)) as threads:
        list(threads.map(lambda each: each[0](each[1]), tries))

    assert time.monotonic() - began < 35


@pytest.mark.parametrize("path", ["/submit", "/settings", "/status", "/nope"])
def test_a_body_that_nobody_wants_is_not_the_next_request(shared, path):
    hidden = b"GET /help HTTP/1.1\r\nHost: x\r\n\r\n"
    first = encode(shared.port, "POST", path, {"Connection": "keep-alive"}, hidden)
    second = encode(shared.port, "GET", "/check?id=second", {}, None)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as line:
        line.sendall(first + second)
        with line.makefile("rb") as file:
            answers = [read(file), read(file), read(file)]

    assert answers[0].status in (400, 404)
    assert b"id='second'" in answers[1].body
    assert answers[2].status is None


def test_a_length_that_can_be_read_in_two_ways_is_refused(shared):
    raw = (
        b"POST /settings HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /help HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as line:
        line.sendall(raw)
        with line.makefile("rb") as file:
            assert read(file).status == 400
            assert not file.read()


@pytest.mark.consul
@pytest.mark.parametrize(
    "asked",
    [
        "../otherkey",
        "%2e%2e/otherkey",
        f"{PREFIX}/../otherkey",
        "x?recurse",
        "x%23y",
        "/otherkey",
        "a/b",
        "a%20b",
        "a%00b",
    ],
)
def test_check_never_leaves_the_namespace(zygote, gate, tmp_path, asked):
    gate.put("com.snowplowanalytics/otherkey", b"a secret")
    with with_consul(zygote, tmp_path, gate) as server:
        answer = server.ask(f"/check?id={asked}")

        assert answer.status == 400
        assert b"No job entry found" in answer.body
        asked_for = [each.path for each in gate.seen if each.path.startswith("/v1/kv/")]
        assert all(path.startswith(f"/v1/kv/{PREFIX}-boxes/") for path in asked_for)
        assert server.ask("/check?id=unknown").status == 400
        assert server.ask("/submit", {}).status == 400


def test_status_waits_for_no_submission(zygote, tmp_path):
    runner = tmp_path / "runner"
    runner.write_text(f"#!/bin/sh\nwhile ! [ -e {tmp_path}/go ]; do sleep 0.05; done\n")
    runner.chmod(0o755)
    with Server(zygote, tmp_path, f"--factotum-bin={runner}") as server:
        path = server.write("job", factfile("echo"))
        with ThreadPoolExecutor() as threads:
            submissions = [
                threads.submit(server.submit, path, ["--tag", f"n,{n}"]) for n in range(3)
            ]
            time.sleep(0.2)
            try:
                for where in ("/status", "/check?id=x"):
                    assert seconds_of(lambda where=where: server.ask(where)) < AT_ONCE
                assert seconds_of(lambda: server.ask("/settings", {"state": "run"})) < AT_ONCE
                assert not any(each.done() for each in submissions)
            finally:
                (tmp_path / "go").touch()


def test_a_factfile_that_takes_long_holds_up_nobody(shared):
    document = factfile("echo")
    task = document["data"]["tasks"][0]
    document["data"]["tasks"] = [
        {**task, "name": f"t{n}", "arguments": ["{{a}}" * 5], "dependsOn": []} for n in range(2000)
    ]
    path = shared.write("long", document)
    with ThreadPoolExecutor() as threads:
        long = threads.submit(shared.submit, path, ["--env", json.dumps({"a": "x" * 20})])
        worst = 0.0
        while not long.done():
            worst = max(worst, seconds_of(shared.status))
        long.result()

    assert worst < 1.0


def test_simultaneous_status_requests_are_all_answered(shared):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: ask(shared.port, path="/status"), range(200)))

    assert {each.status for each in answers} == {200}


@pytest.mark.consul
def test_a_silent_consul_holds_up_nobody(zygote, gate, tmp_path):
    with with_consul(zygote, tmp_path, gate) as server:
        path = server.write("job", factfile("echo"))
        gate.set("silent")
        first = seconds_of(lambda: server.submit(path, ["--tag", "n,1"]))
        later = seconds_of(lambda: server.submit(path, ["--tag", "n,2"]))
        worst = max(seconds_of(server.status) for _ in range(5))
        gate.set("ok")

        assert first < 6, "whoever comes first waits for Consul, once"
        assert later < AT_ONCE
        assert worst < AT_ONCE


@pytest.mark.consul
def test_one_job_sent_to_two_servers_at_once_is_accepted_by_one(zygote, gate, tmp_path):
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    document = factfile("sleep 2")
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(with_consul(zygote, folder, gate, f"--consul-name={folder.name}"))
            for folder in folders
        ]
        paths = [server.write("job", document) for server in servers]
        for trial in range(10):
            barrier = threading.Barrier(2)

            def submit(number, trial=trial, barrier=barrier):
                body = {"jobName": "job", "factfilePath": str(paths[number])}
                body["factfileArgs"] = ["--tag", f"n,{trial}"]
                barrier.wait()
                return servers[number].ask("/submit", body)

            with ThreadPoolExecutor() as threads:
                answers = list(threads.map(submit, (0, 1)))

            assert sorted(each.status for each in answers) == [200, 400]
            refused = next(each for each in answers if each.status == 400)
            assert json.loads(refused.body) == {"message": "Job is already being processed"}


def wait_until_idle(server):
    """Wait until no worker has a job, which has ended then."""
    deadline = time.monotonic() + 30
    while server.status()["dispatcher"]["workers"]["active"]:
        assert time.monotonic() < deadline, "a worker is busy still"
        time.sleep(0.02)


@pytest.mark.consul
def test_consul_lost_during_a_job_hears_of_its_end_later(zygote, gate, tmp_path):
    document = factfile(f"while ! [ -e {tmp_path}/go ]; do sleep 0.05; done;")
    with with_consul(zygote, tmp_path, gate) as server:
        job_id = server.submit(server.write("job", document))
        server.wait_for(job_id, "WORKING")
        gate.set("down")
        (tmp_path / "go").touch()
        wait_until_idle(server)
        gate.set("ok")
        deadline = time.monotonic() + 20
        while json.loads(gate.get(f"{PREFIX}/{job_id}"))["state"] != "DONE":
            assert time.monotonic() < deadline
            time.sleep(0.1)

        assert json.loads(gate.get(f"{PREFIX}/{job_id}"))["lastOutcome"] == "SUCCEEDED"
        assert server.submit(server.folder / "job") == job_id


@pytest.mark.consul
def test_an_end_that_consul_did_not_hear_of_is_told_by_the_next_server(zygote, gate, tmp_path):
    document = factfile(f"while ! [ -e {tmp_path}/go ]; do sleep 0.05; done;")
    with with_consul(zygote, tmp_path, gate) as server:
        job_id = server.submit(server.write("job", document))
        server.wait_for(job_id, "WORKING")
        gate.set("down")
        (tmp_path / "go").touch()
        wait_until_idle(server)
        server.end(signal.SIGKILL)
        gate.set("ok")
        server.start()

        entry = server.wait_for(job_id)
        assert entry["lastOutcome"] == "SUCCEEDED"


@pytest.mark.consul
@pytest.mark.parametrize(("name", "state"), [("ours", "DONE"), ("factotum", "QUEUED")])
def test_entries_that_nobody_knows_any_more_are_closed_under_a_name_of_ones_own(
    zygote, gate, tmp_path, name, state
):
    job_id = job_id_of(factfile("echo"))
    request = {"jobId": job_id, "jobName": "j", "factfilePath": "/x", "factfileArgs": []}
    left = {"state": "QUEUED", "jobRequest": request, "lastRunFrom": name}
    gate.put(f"{PREFIX}/{job_id}", json.dumps(left | {"lastOutcome": "WAITING"}).encode())
    with with_consul(zygote, tmp_path, gate, f"--consul-name={name}") as server:
        deadline = time.monotonic() + (20 if state == "DONE" else 1)
        while server.entry(job_id)["state"] == "QUEUED" and time.monotonic() < deadline:
            time.sleep(0.05)

        assert server.entry(job_id)["state"] == state
        status = server.ask(
            "/submit", {**request, "factfilePath": str(server.write("j", factfile("echo")))}
        )
        assert status.status == (200 if state == "DONE" else 400)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_queue_and_running_jobs_outlive_the_server(zygote, tmp_path, number):
    waits = factfile(f"while ! [ -e {tmp_path}/go ]; do sleep 0.05; done; echo >> {tmp_path}/ran;")
    with Server(zygote, tmp_path, "--max-workers=1") as server:
        path = server.write("job", waits)
        running = server.submit(path, ["--tag", "n,1"])
        waiting = [server.submit(path, ["--tag", f"n,{n}"]) for n in (2, 3)]
        server.wait_for(running, "WORKING")

        assert server.end(number) == -number
        server.start()

        status = server.status()["dispatcher"]
        assert (status["workers"]["active"], status["jobs"]["inQueue"]) == (1, 2)
        (tmp_path / "go").touch()
        for job_id in (running, *waiting):
            assert server.wait_for(job_id)["lastOutcome"] == "SUCCEEDED"
    assert (tmp_path / "ran").read_text() == "\n" * 3


def test_a_page_of_elsewhere_cannot_submit(shared):
    path = shared.write("job", factfile("echo"))
    body = json.dumps({"jobName": "x", "factfilePath": str(path), "factfileArgs": []}).encode()
    for origin, status in (
        ("http://evil.test", 403),
        (f"http://evil.test:{shared.port}", 403),
        ("null", 403),
        (f"http://127.0.0.1:{shared.port}", 200),
    ):
        headers = {"Content-Type": "text/plain", "Origin": origin}
        assert ask(shared.port, "POST", "/submit", headers, body).status == status
    shared.wait_for(job_id_of(factfile("echo")))


def test_a_token_is_asked_for_where_one_is_set(zygote, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("let-me-in\n")
    with Server(zygote, tmp_path, f"--token-file={secret}") as server:
        for path in ("/", "/status", "/check?id=x"):
            assert ask(server.port, path=path).status == 401
        for token, status in (("wrong", 401), ("let-me-in", 200)):
            headers = {"Authorization": f"Bearer {token}"}
            assert ask(server.port, path="/status", headers=headers).status == status
        assert ask(server.port, "POST", "/settings", JSON, b'{"state":"drain"}').status == 401


def test_the_data_folder_belongs_to_one_server(zygote, shared):
    argv = ["--ip=127.0.0.1", "--port=1", f"--data-dir={shared.folder / 'data'}"]
    argv[1] = f"--port={shared.port + 1 if shared.port < 60000 else 2999}"
    other = zygote.fork(argv, shared.folder, "factotum server")

    assert other.wait() == 1
    assert "another server uses" in other.out.read_text()


def test_runners_hold_nothing_of_the_servers(zygote, tmp_path):
    document = factfile(f"ls -l /proc/$PPID/fd > {tmp_path}/fds;")
    with Server(zygote, tmp_path) as server:
        server.wait_for(server.submit(server.write("job", document)))

    opened = (tmp_path / "fds").read_text()
    assert "jobs.sqlite" not in opened
    assert "server.lock" not in opened
    assert os.sep in opened


def test_a_query_of_a_thousand_and_more_parameters_is_answered(shared):
    assert shared.ask(f"/status?{'a=1&' * 2000}").status == 200
    assert shared.ask(f"/check?{'a=1&' * 2000}id=x").status == 400


def test_a_reason_that_is_no_text_for_a_header_is_told_all_the_same(shared):
    document = factfile("true")
    document["data"]["tasks"][0]["dependsOn"] = ["\x1bno\x00 such task"]
    path = shared.write("escapes", document)
    body = {"jobName": "job", "factfilePath": str(path), "factfileArgs": []}
    answer = shared.ask("/submit", body)

    assert answer.status == 400
    assert "such task" in answer.headers["x-factotum-reason"]
    assert answer.headers["x-factotum-reason"].isprintable()


@pytest.mark.parametrize("token", ["", "geheim-ü", "two words", "half\x7f"])
def test_a_token_that_no_caller_could_show_is_refused(zygote, tmp_path, token):
    (tmp_path / "token").write_text(token)
    server = Server(zygote, tmp_path, f"--token-file={tmp_path / 'token'}")
    with contextlib.suppress(RuntimeError):  # it listens, and so it may seem to be up for a moment
        server.start()

    assert server.process.wait() == 1
    assert "one word of ASCII characters" in server.process.out.read_text()
