"""Who may ask: names of the server, pages of other sites, tokens, rates and sizes.

Real: the server as a process; requests byte by byte, as no browser would send them.
"""

import json
import re
import socket
import time

import pytest

from factotum.gateway.doorkeeper import MAX_BODY_BYTES, Rates
from support.server.http import ask, encode
from support.server.rest import JSON, PROBLEM, Rest
from support.server.running import Server, factfile

TOKEN = "open-sesame"
DOORS = ("/v1/jobs", "/ui", "/metrics", "/healthz")


@pytest.fixture(scope="module")
def server(zygote, tmp_path_factory):
    options = ("--allow-host=jobs.example.org, other.example.org",)
    with Server(zygote, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.fixture(scope="module")
def locked(zygote, tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text(f"{TOKEN}\n")
    with Server(zygote, folder, f"--token-file={folder / 'token'}") as server:
        yield server


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "host",
    [
        "localhost:{}",
        "127.0.0.1:{}",
        "[::1]:{}",
        "192.0.2.7",
        "jobs.example.org",
        "JOBS.example.org:80",
    ],
)
def test_names_of_this_server_are_answered(server, path, host):
    answer = ask(server.port, "GET", path, {"Host": host.format(server.port)})

    assert answer.status == 200


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com", "localhost.evil.example.com", "127.0.0.1.evil.example.com:80",
        "jobs.example.org.evil.example.com", "evil.example.com:localhost", "", "[::1",
    ],
)  # fmt: skip
def test_a_name_that_was_bent_to_this_server_is_not_answered(server, path, host):
    answer = ask(server.port, "GET", path, {"Host": host})

    assert answer.status in (400, 421)


def test_two_hosts_are_one_too_many(server):
    raw = b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n\r\n"

    assert ask(server.port, raw=raw).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example.com"},
        {"Origin": "http://localhost:{port}"},  # as another name it is another origin
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/orders", "/v1/jobs/1/cancel", "/v1/check"])
def test_pages_of_other_sites_change_nothing(server, path, headers):
    before = Rest(server).read("/v1/jobs")["total"]
    filled = {name: value.format(port=server.port) for name, value in headers.items()}

    body = json.dumps({"factfile": factfile("true")}).encode()
    answer = ask(server.port, "POST", path, {**JSON, **filled}, body)

    assert (answer.status, answer.headers["content-type"]) == (403, PROBLEM)
    assert Rest(server).read("/v1/jobs")["total"] == before


def test_the_servers_own_page_may_submit(server):
    headers = {**JSON, "Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}

    body = json.dumps({"factfile": factfile("true", name="own page")}).encode()
    assert ask(server.port, "POST", "/v1/jobs", headers, body).status == 201


def test_no_other_site_is_let_read_answers(server):
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
        answer = ask(server.port, method, "/v1/jobs", headers)

        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/main.js", "/ui/absent", "/v1/server"])
def test_nothing_is_shown_in_a_frame_of_another_page(server, path):
    headers = ask(server.port, "GET", path).headers

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_may_load_nothing_from_elsewhere_and_nothing_inline(server):
    policy = ask(server.port, "GET", "/ui").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "path", ["/ui/../v1/server", "/ui/..%2f..%2fetc/passwd", "/ui/%2e%2e/files.py", "/ui//main.js"]
)
def test_the_page_is_a_fixed_set_of_files(server, path):
    answer = ask(server.port, "GET", path)

    assert answer.status in (200, 404)
    assert b"root:" not in answer.body
    assert b"class PageFiles" not in answer.body


def test_a_page_file_that_has_not_changed_is_not_sent_again(server):
    tag = ask(server.port, "GET", "/ui/main.js").headers["etag"]

    answer = ask(server.port, "GET", "/ui/main.js", {"If-None-Match": tag})

    assert (answer.status, answer.body) == (304, b"")


# --- tokens ---------------------------------------------------------------------------------


def operations(server, headers):
    document = Rest(server, headers).read("/v1/openapi.json")
    for path, item in document["paths"].items():
        for method in item:
            yield method.upper(), re.sub(r"\{\w+\}", "1", path)


def test_without_the_token_no_operation_answers(locked):
    known = {"Authorization": f"Bearer {TOKEN}"}
    asked = list(operations(locked, known))
    assert len(asked) >= 15

    for method, path in [*asked, ("GET", "/v1/openapi.json"), ("GET", "/metrics")]:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer"},
        ):
            body = b"{}" if method == "POST" else None
            answer = ask(locked.port, method, path, {**JSON, **headers}, body)
            assert answer.status == 401, (method, path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_all_is_as_without_one(locked):
    rest = Rest(locked, {"Authorization": f"Bearer {TOKEN}"})

    job = rest.submit("true")

    assert rest.wait(job["key"])["job"]["outcome"] == "SUCCEEDED"
    assert rest.read("/v1/openapi.json")["security"] == [{"token": []}]
    assert rest.get("/metrics").status == 200


def test_probes_and_the_page_itself_need_no_token(locked):
    for path in ("/healthz", "/readyz", "/ui", "/ui/main.js"):
        assert ask(locked.port, "GET", path).status == 200


# --- how much -------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server):
    head = {**JSON, "Content-Length": str(MAX_BODY_BYTES + 1), "Expect": "100-continue"}
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(encode(server.port, "POST", "/v1/jobs", head, b""))
        assert b"413" in line.recv(4096) + line.recv(4096)


def test_a_body_that_grows_too_large_is_refused(server):
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (MAX_BODY_BYTES + 1, b" " * (MAX_BODY_BYTES + 1))

    answer = ask(server.port, "POST", "/v1/jobs", {**JSON, "Transfer-Encoding": "chunked"}, body)

    assert answer.status == 413


def test_what_is_behind_a_refused_request_is_not_taken_for_another(server):
    inner = b"GET /v1/server HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = {
        "Origin": "https://evil.example.com",
        "Content-Length": str(len(inner)),
        "Connection": "keep-alive",
    }
    raw = encode(server.port, "POST", "/v1/jobs", head, None) + inner

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(raw)
        answer = b"".join(iter(lambda: line.recv(65536), b""))

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 403" in answer


def test_a_client_that_asks_too_often_is_told_to_wait(zygote, tmp_path):
    with Server(zygote, tmp_path, "--rate=5") as server:
        statuses = [ask(server.port, "GET", "/v1/server").status for _ in range(30)]
        refused = ask(server.port, "GET", "/v1/server")
        original = ask(server.port, "GET", "/status")

    assert statuses[:10] == [200] * 10
    assert statuses.count(429) >= 5
    if refused.status == 429:
        assert int(refused.headers["retry-after"]) >= 1
    assert original.status == 200


def test_rates_are_kept_for_each_client_and_for_few_of_them():
    now = 0.0
    rates = Rates(2, clock=lambda: now)

    assert [rates.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert rates.take("b") == 0
    now = 1.0
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0.5]
    for number in range(10_000):
        rates.take(str(number))
    assert rates.take("a") == 0


def test_silent_connections_keep_nobody_from_being_answered(server):
    lines = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for line in lines[:100]:
        line.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    try:
        began = time.monotonic()
        assert Rest(server).get("/v1/server").status == 200
        assert time.monotonic() - began < 5
    finally:
        for line in lines:
            line.close()
