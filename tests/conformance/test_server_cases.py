"""The job server's cases that no record shows: each has its id in its test's.

Real: the server as a process, its runners, raw requests, Consul behind a port.
"""

import json
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.consul.process import ConsulProcess, free_ports
from support.server.forking import Zygote
from support.server.gate import ConsulGate
from support.server.http import ask
from support.server.running import Server, factfile, job_id_of

pytestmark = pytest.mark.consul

OWN = Path(sys.executable).parent / "factotum"
JSON = {"Content-Type": "application/json"}
PREFIX = "com.snowplowanalytics/factotum"
ECHO = factfile("echo")


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as process:
        yield process


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with ConsulProcess.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture
def gate(consul):
    with ConsulGate(consul.address) as gate:
        yield gate


@pytest.fixture
def make(zygote, gate, tmp_path):
    """Start servers under the original's name."""
    made = []

    def start(*options, runner=OWN, name="", log="debug"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        always = (f"--factotum-bin={runner}", f"--consul-port={gate.port}", f"--log-level={log}")
        server = Server(zygote, folder, *always, *options, program="factotum-server")
        made.append(server.__enter__())
        return server

    yield start
    for server in made:
        server.__exit__()


@pytest.fixture
def ended(zygote, tmp_path):
    """Start a server that is to end at once, and return its exit code and outputs."""

    def run(*argv):
        done = zygote.fork(argv, tmp_path, "factotum-server")
        return done.wait(), done.out.read_text(), done.err.read_text()

    return run


def log_of(server):
    return server.process.out.read_text()


def message(answer):
    return json.loads(answer.body)["message"]


def body(path, *args, **more):
    return {"jobName": "job", "factfilePath": str(path), "factfileArgs": list(args)} | more


@pytest.fixture
def accepting(tmp_path):
    """A runner that accepts everything and notes what it was called with."""
    runner = tmp_path / "accepting"
    runner.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    runner.chmod(0o755)
    return runner


# --- start-up -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param("255.255.255.255", id="S-003")])
def test_an_address_that_looks_like_one(zygote, tmp_path, case):
    argv = [f"--factotum-bin={OWN}", f"--ip={case}", f"--port={free_ports(1)[0]}"]
    server = zygote.fork(argv, tmp_path, "factotum-server")
    deadline = time.monotonic() + 20
    try:
        while not (server.out.exists() and server.out.stat().st_size):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        out = server.out.read_text()
    finally:
        server.end()

    # Whether it can be listened on is the system's business.
    assert out.startswith(("Factotum Server version", "Failed to start server - "))


@pytest.mark.parametrize("level", [pytest.param("DEBUG", id="S-005")])
def test_levels_in_any_case(make, level):
    server = make(log=level)
    server.ask("/submit", body(server.write("job", ECHO)))

    assert " DEBUG - Executing: [" in log_of(server)
    quiet = make(log="warn", name="quiet")
    quiet.status()
    assert len(log_of(quiet).splitlines()) == 1


@pytest.mark.parametrize("word", [pytest.param("--help", id="S-100"), "-h"])
def test_help(ended, word):
    code, out, err = ended(word)

    assert (code, err) == (0, "")
    assert all(option in out for option in ("--factotum-bin=<path>", "--consul-namespace", "-h"))


@pytest.mark.parametrize(
    ("option", "kind", "case"),
    [
        pytest.param("--port=-1", "u32", "-1", id="S-102"),
        pytest.param("--max-jobs=x", "usize", "x", id="S-102.sizes"),
        pytest.param("--consul-port=99999999999", "u32", "99999999999", id="S-102.too-large"),
    ],
)
def test_numbers_that_are_none(ended, option, kind, case):
    name = option.partition("=")[0]
    told = f"Could not decode '{case}' to {kind} for '{name}'.\n"

    assert ended(f"--factotum-bin={OWN}", option) == (1, "", told)


@pytest.mark.parametrize("text", [pytest.param("1.2.3.4/8", id="S-104"), "x 1.2.3.4", "1.2.3.4."])
def test_what_only_contains_an_address(ended, text):
    told = f"Invalid IP address: [{text}] - Regex mismatch\n"

    assert ended(f"--factotum-bin={OWN}", f"--ip={text}") == (1, told, "")


@pytest.mark.parametrize("level", [pytest.param("info", id="S-106")])
def test_the_first_line_is_in_the_log_too(make, level):
    server = make(log=level)
    server.status()
    lines = log_of(server).splitlines()

    assert re.fullmatch(r"\S+  INFO - (Factotum Server version .*)", lines[0])[1] == lines[1]


# --- HTTP ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("HEAD", "/status", 200, id="S-111"),
        pytest.param("HEAD", "/check", 400, id="S-111.check"),
        pytest.param("HEAD", "/submit", 404, id="S-111.submit"),
        pytest.param("GET", "//status", 200, id="S-113"),
        pytest.param("GET", "/./status", 200, id="S-113.dot"),
        pytest.param("GET", "/x/../status", 200, id="S-113.dots"),
        pytest.param("GET", "/status?", 200, id="S-113.empty-query"),
        pytest.param("GET", "/../../status", 200, id="S-113.above"),
        pytest.param("GET", "/%73tatus", 404, id="S-113.encoded"),
        pytest.param("GET", "/status#x", 200, id="S-113.fragment"),
    ],
)
def test_paths_and_methods(make, method, path, status):
    answer = ask(make().port, method, path)

    assert answer.status == status
    assert method != "HEAD" or not answer.body


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        pytest.param('{"x":1,"state":"drain"}', 200, "drain", id="S-124"),
        pytest.param('{"state":"x","state":"drain"}', 200, "drain", id="S-124.twice"),
        pytest.param(' {"state" :\n"drain"} ', 200, "drain", id="S-124.blanks"),
        pytest.param('{"state":"dr\\u0061in"}', 200, "drain", id="S-124.escape"),
        pytest.param('{"State":"drain"}', 400, "missing field `state`", id="S-124.case"),
    ],
)
def test_bodies_that_are_read(make, text, status, told):
    answer = ask(make().port, "POST", "/settings", JSON, text.encode())

    assert (answer.status, told in message(answer)) == (status, True)


@pytest.mark.parametrize("case", [pytest.param("chunked", id="S-126")])
def test_a_chunked_body(make, case):
    headers = {**JSON, "Transfer-Encoding": case}
    chunks = b'9\r\n{"state":\r\n8\r\n"drain"}\r\n0\r\n\r\n'

    assert ask(make().port, "POST", "/settings", headers, chunks).status == 200


@pytest.mark.parametrize(
    ("size", "told"),
    [
        pytest.param(104857599, "Update acknowledged: [state: run]", id="S-129"),
        pytest.param(104857600, "Error decoding JSON string: Body is too big", id="S-129.more"),
    ],
)
def test_the_largest_body(make, size, told):
    payload = b'{"state":"run"' + b" " * (size - 15) + b"}"

    assert message(ask(make().port, "POST", "/settings", JSON, payload)) == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"jobName": 5}, "integer `5`, expected a string", id="S-131"),
        pytest.param({"factfileArgs": "x"}, 'string "x", expected a sequence', id="S-131.list"),
        pytest.param({"factfileArgs": [1]}, "integer `1`, expected a string", id="S-131.in-list"),
        pytest.param({"jobId": {}}, "map, expected a string", id="S-131.jobId"),
    ],
)
def test_wrong_types(make, change, told):
    answer = make().ask("/submit", body("/x", **change))

    assert message(answer) == f"Error decoding JSON string: invalid type: {told}"


# --- submissions --------------------------------------------------------------------------


@pytest.mark.parametrize("path", [pytest.param("/tmp/somewhere/absent", id="S-047")])
def test_a_factfile_that_is_not_there(make, path):
    told = f"Validation Error: Value does not exist on host for 'factfilePath':'{path}'"

    assert message(make().ask("/submit", body(path))) == told


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        pytest.param(None, "No such file or directory (os error 2)", id="S-092"),
        pytest.param(0o600, "Permission denied (os error 13)", id="S-092.mode"),
    ],
)
def test_a_runner_that_cannot_be_started(make, accepting, mode, told):
    server = make(runner=accepting)
    path = server.write("job", ECHO)
    if mode is None:
        accepting.unlink()
    else:
        accepting.chmod(mode)
    answer = server.ask("/submit", body(path, "--random_arg"))
    command = f"{accepting} run {path} --dry-run --random_arg"

    assert message(answer) == f"Validation Error: Failed to execute command: [{command}] - {told}"


@pytest.mark.parametrize("words", [pytest.param(("word", "-", "--start="), id="S-135")])
def test_words_are_passed_on_unchanged(make, accepting, words, tmp_path):
    server = make(runner=accepting)
    path = server.write("job", ECHO)
    server.wait_for(server.submit(path, words))

    assert (tmp_path / "calls").read_text().splitlines()[1] == f"run {path} {' '.join(words)}"


@pytest.mark.parametrize(
    ("texts", "tags"),
    [
        pytest.param(["b c, x,y "], {"b c": "xy"}, id="S-140"),
        pytest.param(["env,prod", "env,late"], {"env": "late"}, id="S-140.twice"),
        pytest.param(["only"], {"only": ""}, id="S-140.only"),
        pytest.param([" , z", ""], {}, id="S-140.ignored"),
        pytest.param(["ü,ö"], {"ü": "ö"}, id="S-140.letters"),
    ],
)
def test_tags_are_in_the_id(make, texts, tags):
    server = make()
    args = [word for text in texts for word in ("--tag", text)]

    assert server.submit(server.write("job", ECHO), args) == job_id_of(ECHO, **tags)


@pytest.mark.parametrize("name", [pytest.param("job", id="S-185")])
def test_a_path_is_relative_to_the_servers_folder(make, name):
    server = make()
    server.write(name, ECHO)

    assert server.wait_for(server.submit(Path(name)))["jobRequest"]["factfilePath"] == name


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
