"""A Pod's log, which comes from its beginning only, asked for by its parts.

Real: the backend and its files. The API is one in memory; logs of a real kubelet are in tests/node.
"""

import asyncio
import contextlib
import tempfile

import pytest

from factotum.jobs.errors import BackendAwayError, BackendError, UnknownJobError
from factotum.jobs.kubernetes.logs import Limits, Logs
from factotum.jobs.views import LogQuery
from factotum.kube import errors, paths
from factotum.kube.memory import MemoryApi
from support.disks import fill, small_disk
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


@contextlib.contextmanager
def keeping(api, **limits):
    """Have logs with limits of their own, and a Pod."""
    api.put(POD, {"metadata": {"name": "pod-1", "namespace": NAMESPACE}})
    kept = Logs(api, NAMESPACE, Limits(**limits))
    try:
        yield kept
    finally:
        kept.close()


async def read_until(kept, is_enough, *, is_over=False):
    """Ask until an answer is enough, or there is a reason that there is none."""
    async with asyncio.timeout(10):
        while not is_enough(piece := await kept.read("pod-1", LogQuery(), lambda: is_over)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        return piece


async def test_a_reading_that_breaks_off_goes_on_where_it_was():
    api = LiveApi()
    with keeping(api, again_seconds=0.0) as kept:
        api.pieces.put_nowait(b"one")
        await read_until(kept, lambda piece: piece.size == 3)
        api.pieces.put_nowait(errors.UnreachableError("broken"))
        api.pieces.put_nowait(b"two")
        assert (await read_until(kept, lambda piece: piece.size == 6)).data == b"onetwo"
    assert api.readings == 2


async def test_a_log_grows_to_a_bound_and_what_comes_then_is_counted():
    api = MemoryApi()
    api.logs[POD] = b"x" * 25
    with keeping(api, bytes=10) as kept:
        piece = await read_until(kept, lambda piece: piece.size == 10)
        assert (piece.size, piece.dropped) == (10, 15)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A small disk, where files without a name are made."""
    with small_disk(tmp_path / "disk", 64 * 1024) as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


async def test_a_log_that_the_disk_has_no_room_for_is_not_complete(disk):
    api = LiveApi()
    with keeping(api, again_seconds=0.0) as kept:
        for piece in (b"a" * 4096, b"b" * 1_000_000, None):
            api.pieces.put_nowait(piece)
        await read_until(kept, lambda piece: piece.size >= 4096, is_over=True)
        (spool,) = kept._spools.values()
        await asyncio.wait({spool._task}, timeout=10)
        piece = await kept.read("pod-1", LogQuery(), lambda: True)
        assert (piece.complete, piece.dropped) == (False, 0)
        assert piece.size < 1_000_000


async def test_a_full_disk_is_told(disk):
    fill(disk)
    api = MemoryApi()
    api.logs[POD] = b"x" * 100
    with keeping(api) as kept:
        with pytest.raises(BackendError, match="disk"):
            await kept.read("pod-1", LogQuery(), lambda: True)
        (disk / "filler").unlink()
    with keeping(api) as kept:
        piece = await read_until(kept, lambda piece: piece.complete, is_over=True)
    assert piece.data == b"x" * 100


async def test_few_logs_are_kept_at_once():
    api = MemoryApi()
    kept = Logs(api, NAMESPACE, Limits(logs=2))
    for number in range(5):
        path = paths.pod(NAMESPACE, f"p{number}")
        api.put(path, {"metadata": {"name": f"p{number}", "namespace": NAMESPACE}})
        api.logs[path] = b"x"
        assert (await kept.read(f"p{number}", LogQuery(), lambda: True)).data == b"x"
        assert len(kept._spools) <= 2
    kept.close()


async def test_what_nobody_asks_for_is_forgotten():
    api = LiveApi()
    with keeping(api, idle_seconds=0.5) as kept:
        api.pieces.put_nowait(b"x")
        assert (await kept.read("pod-1", LogQuery(), lambda: False)).data == b"x"
        (reading,) = [spool._task for spool in kept._spools.values()]
        await asyncio.wait({reading}, timeout=10)
        assert reading.cancelled()
        assert not kept._spools


@pytest.mark.parametrize("pod", ["", "../../secrets", "a/b", "A", "x" * 300])
async def test_no_pod_has_no_log(pod):
    api = MemoryApi()
    piece = await Logs(api, NAMESPACE).read(pod, LogQuery(), lambda: True)
    assert (piece.size, piece.complete, api.requests) == (0, True, [])


async def test_a_pod_that_is_gone_or_has_not_begun_has_none():
    api = MemoryApi()
    with keeping(api, again_seconds=0.0) as kept:
        # It has printed nothing.
        piece = await kept.read("pod-1", LogQuery(), lambda: False)
        assert (piece.size, piece.missing) == (0, "")
        api.remove(POD)
        piece = await kept.read("pod-1", LogQuery(), lambda: False)
        assert (piece.size, piece.complete) == (0, False)
        assert piece.missing == "Pod pod-1 is gone, and what it printed with it."


async def test_what_was_read_of_a_pod_that_went_meanwhile_is_shown_with_a_word_on_the_rest():
    api = LiveApi()
    with keeping(api, again_seconds=0.0) as kept:
        api.pieces.put_nowait(b"one")
        assert (await read_until(kept, lambda piece: piece.size == 3)).missing == ""
        api.remove(POD)
        api.pieces.put_nowait(errors.UnreachableError("broken"))
        piece = await read_until(kept, lambda piece: piece.missing, is_over=True)
        assert (piece.data, piece.complete) == (b"one", True)
        assert piece.missing == "Pod pod-1 is gone, and the rest of what it printed with it."


async def test_a_log_that_came_to_its_end_lacks_nothing_when_its_pod_goes():
    api = LiveApi()
    with keeping(api, again_seconds=0.0) as kept:
        for piece in (b"one", None):
            api.pieces.put_nowait(piece)
        await read_until(kept, lambda piece: piece.complete, is_over=True)
        api.remove(POD)
        assert (await kept.read("pod-1", LogQuery(), lambda: True)).missing == ""


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
