"""The job server's cases that no record shows: each has its id in its test's.

Real: the server as a process, its runners, raw requests, Consul behind a port.
"""

import re
import time
from pathlib import Path

import pytest

from support.consul.process import free_ports
from support.server.http import ask
from support.server.original import ECHO, JSON, OWN, body, log_of, message
from support.server.running import job_id_of

pytestmark = pytest.mark.consul


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
