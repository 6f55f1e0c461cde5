"""The client against a real HTTP server on loopback that answers as a test says."""

import asyncio
import contextlib
import json

import pytest
from aiohttp import web
from kubernetes.aio import client as kube_client

from factotum.kube import errors, paths
from factotum.kube.client import KubeClient

POD = paths.pod("pipelines", "a")
PODS = paths.collection(paths.PODS, "pipelines")


class Server:
    """Answers each request as the next scripted handler does."""

    def __init__(self):
        self.requests = []
        self.bodies = []
        self.script = []

    async def handle(self, request):
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.script.pop(0)
        return await answer(request) if callable(answer) else web.json_response(*answer)

    def raw_paths(self):
        return [request.raw_path for request in self.requests]


@contextlib.asynccontextmanager
async def serving(handle):
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    async with serving(server.handle) as server.url:
        yield server


@pytest.fixture
async def client(server):
    configuration = kube_client.Configuration()
    configuration.host = server.url
    configuration.api_key = {"BearerToken": "Bearer secret"}
    async with KubeClient(configuration) as client:
        yield client


def failing(status, reason="", message="no"):
    async def answer(_):
        body = {"kind": "Status", "reason": reason, "message": message}
        return web.json_response(body, status=status)

    return answer


def streaming(*chunks, hang_up=False):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)
        if hang_up:
            request.transport.abort()
        return response

    return answer


def event(kind, **metadata):
    return json.dumps({"type": kind, "object": {"metadata": metadata}}).encode() + b"\n"


async def watched(client, seen=None):
    """Return what a watch tells; with a list given, that holds what came before a failure."""
    seen = [] if seen is None else seen
    watch = client.watch(PODS, selector="mine", resource_version="5", seconds=5)
    async for each in watch:
        seen.append((each.kind, each.raw["metadata"].get("name")))
    return seen


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", errors.InvalidError),
        (401, "Unauthorized", errors.KubeError),
        (403, "Forbidden", errors.ForbiddenError),
        (404, "NotFound", errors.NotFoundError),
        (409, "Conflict", errors.ConflictError),
        (409, "AlreadyExists", errors.AlreadyExistsError),
        (410, "Expired", errors.ExpiredError),
        (422, "Invalid", errors.InvalidError),
        (429, "TooManyRequests", errors.UnreachableError),
        (500, "InternalError", errors.UnreachableError),
        (504, "Timeout", errors.UnreachableError),
    ],
)
async def test_a_failure_is_raised_as_what_can_be_done_about_it(
    server, client, status, reason, kind
):
    server.script = [failing(status, reason, "because")]

    with pytest.raises(errors.KubeError) as raised:
        await client.get(POD)

    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.reason) == (status, reason)
    assert str(raised.value) == "because"


async def test_an_invalid_object_is_told_with_the_fields_that_are_wrong(server, client):
    async def answer(_):
        causes = [{"reason": "FieldValueInvalid", "field": "spec.a"}, {"message": "no field"}]
        body = {"kind": "Status", "reason": "Invalid", "details": {"causes": causes}}
        return web.json_response(body, status=422)

    server.script = [answer]
    with pytest.raises(errors.InvalidError) as raised:
        await client.create(PODS, {})

    assert raised.value.fields == ("spec.a",)


async def test_a_failure_in_other_words_than_the_apis_is_told_too(server, client):
    async def answer(_):
        return web.Response(status=503, text="<html>a proxy speaks</html>")

    server.script = [answer]
    with pytest.raises(errors.UnreachableError, match="a proxy speaks"):
        await client.get(POD)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"', "null"])
async def test_an_answer_that_is_no_object_is_none(server, client, text):
    async def answer(_):
        return web.Response(text=text)

    server.script = [answer]
    with pytest.raises(errors.UnreachableError):
        await client.get(POD)


async def test_nobody_at_the_other_end_is_unreachable():
    configuration = kube_client.Configuration()
    configuration.host = "http://127.0.0.1:9"
    async with KubeClient(configuration) as client:
        with pytest.raises(
            errors.UnreachableError, match="GET /api/v1/namespaces/pipelines/pods/a"
        ):
            await client.get(POD)
        with pytest.raises(errors.UnreachableError):
            await watched(client)


async def test_a_server_that_hangs_up_is_unreachable(server, client):
    async def answer(request):
        request.transport.abort()
        return web.Response()

    # A read is sent once more by the transport itself, on a connection that was kept.
    server.script = [answer] * 4
    with pytest.raises(errors.UnreachableError):
        await client.create(PODS, {})
    assert len(server.requests) == 1


async def test_a_redirect_is_not_followed(server, client):
    async def answer(_):
        raise web.HTTPFound("/elsewhere")

    server.script = [answer, answer]
    with pytest.raises(errors.KubeError):
        await client.get(POD)
    with pytest.raises(errors.KubeError):
        await watched(client)
    assert [path.partition("?")[0] for path in server.raw_paths()] == [POD, PODS]


async def test_the_path_is_sent_exactly_as_it_was_built(server, client):
    built = paths.with_query(POD, {"labelSelector": "a/b,c=d e%&é"})
    server.script = [({},)]
    await client.get(built)

    assert server.raw_paths() == [built]


async def test_what_is_written_says_of_what_version_and_uid(server, client):
    server.script = [({},)] * 5
    await client.patch_status(POD, {"a": 1}, resource_version="7")
    await client.delete(POD, uid="u")
    await client.create(PODS, {"b": "é"})
    await client.replace(POD, {"metadata": {"resourceVersion": "8"}})
    await client.delete(POD, uid="u", resource_version="8")

    asked = [(r.method, r.raw_path, r.headers["Content-Type"]) for r in server.requests]
    assert asked == [
        ("PATCH", f"{POD}/status", "application/merge-patch+json"),
        ("DELETE", POD, "application/json"),
        ("POST", f"{PODS}?fieldValidation=Strict", "application/json"),
        ("PUT", POD, "application/json"),
        ("DELETE", POD, "application/json"),
    ]
    assert [json.loads(body) for body in server.bodies] == [
        {"metadata": {"resourceVersion": "7"}, "status": {"a": 1}},
        {"preconditions": {"uid": "u"}},
        {"b": "é"},
        {"metadata": {"resourceVersion": "8"}},
        {"preconditions": {"uid": "u", "resourceVersion": "8"}},
    ]


async def test_a_refused_credential_is_asked_for_anew(server, client):
    server.script = [({},), failing(401), ({},)]
    await client.get(POD)
    client._configuration.api_key = {"BearerToken": "Bearer renewed"}
    with pytest.raises(errors.KubeError):
        await client.get(POD)
    await client.get(POD)

    sent = [request.headers["Authorization"] for request in server.requests]
    assert sent == ["Bearer secret", "Bearer secret", "Bearer renewed"]


async def test_a_list_is_read_chunk_by_chunk(server, client):
    server.script = [
        ({"metadata": {"resourceVersion": "9", "continue": "a/b=="}, "items": [{"n": 1}]},),
        ({"metadata": {"resourceVersion": "9"}, "items": [{"n": 2}]},),
    ]
    pages = [page async for page in client.pages(PODS, selector="mine")]

    assert [page.items for page in pages] == [[{"n": 1}], [{"n": 2}]]
    assert {page.resource_version for page in pages} == {"9"}
    assert server.raw_paths() == [
        f"{PODS}?limit=500&labelSelector=mine",
        f"{PODS}?limit=500&labelSelector=mine&continue=a%2Fb%3D%3D",
    ]


async def test_an_empty_list_is_one_page(server, client):
    server.script = [({"metadata": {"resourceVersion": "9"}, "items": None},)]

    assert [page async for page in client.pages(PODS)] == [([], "9")]


async def test_a_list_that_took_too_long_is_to_be_begun_again(server, client):
    server.script = [({"metadata": {"continue": "x"}, "items": []},), failing(410, "Expired")]

    with pytest.raises(errors.ExpiredError):
        [page async for page in client.pages(PODS)]


async def test_lines_of_a_watch_may_come_in_pieces_and_several_at_once(server, client):
    lines = event("ADDED", name="a") + event("MODIFIED", name="é") + event("BOOKMARK")
    server.script = [streaming(lines[:1], lines[1:70], lines[70:75], lines[75:], b"\n\n")]

    assert await watched(client) == [("ADDED", "a"), ("MODIFIED", "é"), ("BOOKMARK", None)]
    query = server.requests[0].query
    assert (query["watch"], query["allowWatchBookmarks"]) == ("true", "true")
    assert (query["resourceVersion"], query["timeoutSeconds"]) == ("5", "5")
    assert query["labelSelector"] == "mine"


async def test_a_line_of_more_than_a_mebibyte_is_one_line(server, client):
    server.script = [streaming(event("ADDED", name="a", note="x" * 1_500_000))]

    assert await watched(client) == [("ADDED", "a")]


async def test_a_line_that_does_not_end_is_given_up(server, client):
    server.script = [streaming(event("ADDED", name="a"), *[b"x" * 500_000] * 10)]

    with pytest.raises(errors.UnreachableError, match="does not end"):
        await watched(client)


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b'{"type":"ADDED"}\n', b'{"object":1}\n'])
async def test_a_line_that_is_no_event_ends_the_watch(server, client, line):
    server.script = [streaming(line)]

    with pytest.raises(errors.UnreachableError):
        await watched(client)


@pytest.mark.parametrize(
    ("code", "kind"), [(410, errors.ExpiredError), (500, errors.UnreachableError)]
)
async def test_an_error_within_a_watch_is_raised_after_what_came_before(server, client, code, kind):
    error = {"type": "ERROR", "object": {"code": code, "reason": "R", "message": "too old"}}
    server.script = [streaming(event("ADDED", name="a"), json.dumps(error).encode() + b"\n")]
    seen = []

    with pytest.raises(kind, match="too old"):
        await watched(client, seen)
    assert seen == [("ADDED", "a")]


async def test_a_watch_that_is_refused_is_raised(server, client):
    server.script = [failing(410, "Expired")]

    with pytest.raises(errors.ExpiredError):
        await watched(client)


async def test_a_watch_whose_server_hangs_up_is_unreachable_after_what_was_whole(server, client):
    server.script = [streaming(event("ADDED", name="a"), b'{"type":', hang_up=True)]
    seen = []

    with pytest.raises(errors.UnreachableError):
        await watched(client, seen)
    assert seen == [("ADDED", "a")]


async def test_the_environments_proxy_is_found_out_once_and_then_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    configuration = kube_client.Configuration()
    configuration.host = "http://api.example:6443"
    async with KubeClient(configuration) as client:
        monkeypatch.delenv("http_proxy")
        server.script = [({},)]
        await client.get(POD)

    assert server.raw_paths() == [f"http://api.example:6443{POD}"]


async def test_a_proxy_that_appears_later_is_not_asked_for(server, client, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.script = [({},)]

    assert await client.get(POD) == {}


async def test_no_proxy_is_heeded(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    configuration = kube_client.Configuration()
    configuration.host = server.url
    configuration.proxy = None
    async with KubeClient(configuration) as client:
        server.script = [({},)]
        assert await client.get(POD) == {}
