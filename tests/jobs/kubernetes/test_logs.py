"""A Pod's log, which comes from its beginning only, asked for by its parts.

Real: the backend and its files. The API is one in memory; logs of a real kubelet are in tests/node.
"""

import asyncio

import pytest

from factotum.jobs.errors import BackendAwayError, UnknownJobError
from factotum.jobs.kubernetes import logs
from factotum.jobs.views import LogQuery
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.server.cluster_jobs import (
    NAMESPACE,
    end,
    known,
    make_request,
    serving,
    stored_jobs,
    write_status,
)

POD = paths.pod(NAMESPACE, "pod-1")


class LiveApi(MemoryApi):
    """An API whose containers print while they are listened to."""

    def __init__(self):
        super().__init__()
        self.pieces = asyncio.Queue()
        self.printed = b""
        self.readings = 0

    async def log(self, path):
        self._found(path.partition("?")[0].removesuffix("/log"))
        self.readings += 1
        if self.printed:
            yield self.printed
        while True:
            piece = await self.pieces.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            self.printed += piece
            yield piece


async def running(backend, api):
    """Have a job at work in a Pod; return its key."""
    view = await backend.create(make_request())
    api.put(POD, {"metadata": {"name": "pod-1", "namespace": NAMESPACE}})
    claim = {"id": "c", "podName": "pod-1", "podUID": "u"}
    raw = write_status(
        api, stored_jobs(api)[0], state="WORKING", outcome="RUNNING", attempt=1, claim=claim
    )
    await known(backend, raw["metadata"]["resourceVersion"])
    return view.key


async def until(backend, key, size):
    """Ask until a log has so many bytes."""
    async with asyncio.timeout(10):
        while True:
            piece = await backend.log(key, LogQuery())
            if piece.size >= size:
                return piece
            await asyncio.sleep(0.01)


async def test_a_log_is_followed_and_read_once():
    api = LiveApi()
    async with serving(api) as backend:
        key = await running(backend, api)
        assert (await backend.log(key, LogQuery())).size == 0
        api.pieces.put_nowait(b"hello ")
        api.pieces.put_nowait("wörld\n".encode())
        piece = await until(backend, key, 13)
        assert (piece.data, piece.complete) == ("hello wörld\n".encode(), False)
        for offset, limit, data in (
            (6, 2, b"w\xc3"),
            (-3, 9, b"ld\n"),
            (99, 9, b""),
            (-99, 5, b"hello"),
        ):
            piece = await backend.log(key, LogQuery(offset=offset, limit=limit))
            assert piece.data == data
        assert api.readings == 1

        api.pieces.put_nowait(None)
        raw = end(api, stored_jobs(api)[0])
        await known(backend, raw["metadata"]["resourceVersion"])
        await asyncio.sleep(0.05)
        piece = await backend.log(key, LogQuery())
        assert (piece.size, piece.complete) == (13, True)
    assert api.readings == 1


async def test_a_reading_that_breaks_off_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(logs, "_AGAIN_SECONDS", 0.0)
    api = LiveApi()
    async with serving(api) as backend:
        key = await running(backend, api)
        api.pieces.put_nowait(b"one")
        await until(backend, key, 3)
        api.pieces.put_nowait(errors.UnreachableError("broken"))
        api.pieces.put_nowait(b"two")
        assert (await until(backend, key, 6)).data == b"onetwo"
    assert api.readings == 2


async def test_a_log_grows_to_a_bound_and_what_comes_then_is_counted(monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 10)
    api = MemoryApi()
    async with serving(api) as backend:
        key = await running(backend, api)
        api.logs[POD] = b"x" * 25
        piece = await until(backend, key, 10)
        assert (piece.size, piece.dropped) == (10, 15)


async def test_few_logs_are_kept_at_once(monkeypatch):
    monkeypatch.setattr(logs, "_MAX_SPOOLS", 2)
    api = MemoryApi()
    kept = logs.Logs(api, NAMESPACE)
    for number in range(5):
        path = paths.pod(NAMESPACE, f"p{number}")
        api.put(path, {"metadata": {"name": f"p{number}", "namespace": NAMESPACE}})
        api.logs[path] = b"x"
        assert (await kept.read(f"p{number}", LogQuery(), lambda: True)).data == b"x"
        assert len(kept._spools) <= 2
    kept.close()


async def test_what_nobody_asks_for_is_forgotten(monkeypatch):
    monkeypatch.setattr(logs, "_IDLE_SECONDS", 0.5)
    api = LiveApi()
    api.put(POD, {"metadata": {"name": "pod-1", "namespace": NAMESPACE}})
    kept = logs.Logs(api, NAMESPACE)
    api.pieces.put_nowait(b"x")
    assert (await kept.read("pod-1", LogQuery(), lambda: False)).data == b"x"
    (reading,) = [spool._task for spool in kept._spools.values()]
    await asyncio.sleep(1.5)
    assert not kept._spools
    assert reading.cancelled()
    kept.close()


@pytest.mark.parametrize("pod", ["", "../../secrets", "a/b", "A", "x" * 300])
async def test_no_pod_has_no_log(pod):
    api = MemoryApi()
    piece = await logs.Logs(api, NAMESPACE).read(pod, LogQuery(), lambda: True)
    assert (piece.size, piece.complete, api.requests) == (0, True, [])


async def test_a_pod_that_is_gone_or_has_not_begun_has_none(monkeypatch):
    monkeypatch.setattr(logs, "_AGAIN_SECONDS", 0.0)
    api = MemoryApi()
    async with serving(api) as backend:
        key = await running(backend, api)
        assert (await backend.log(key, LogQuery())).size == 0  # it has printed nothing
        api.remove(POD)
        piece = await backend.log(key, LogQuery())
        assert (piece.size, piece.complete) == (0, False)


async def test_what_cannot_be_had_is_told():
    api = MemoryApi()
    async with serving(api) as backend:
        key = await running(backend, api)
        with pytest.raises(UnknownJobError, match="no attempt 2"):
            await backend.log(key, LogQuery(attempt=2))
        with pytest.raises(UnknownJobError, match="one log for all"):
            await backend.log(key, LogQuery(task=0))

        def fail(asked):
            if "/log" in asked.path:
                raise errors.UnreachableError("away")

        api.on_request = fail
        with pytest.raises(BackendAwayError):
            await backend.log(key, LogQuery())
