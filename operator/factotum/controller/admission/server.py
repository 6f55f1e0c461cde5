"""The HTTPS side of the admission webhook: what API servers talk to.

kopf brings an admission server along. It is not used, because it reads its certificate once,
replaces the whole webhook configuration by one of its own, and lets anybody who can connect take
as much of the operator as he likes. Here a body has a size, a judgement a place in a short queue,
and a thread, so that a factfile of two thousand tasks holds up no claim. Whoever finds no place is
told so, and the API server goes on without us.
"""

import asyncio
import logging
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import orjson
from aiohttp import web

from factotum.controller.admission import judging
from factotum.controller.admission.judging import NoReviewError, Verdict
from factotum.controller.pod_template.judging import Bounds
from factotum.controller.tls.door import Door

logger = logging.getLogger(__name__)

PATH: Final = "/v1/admission"
_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of a question: the job as it was and as it shall be, each at most what etcd takes."""
_TINY_BYTES: Final = 16 * 1024
"""Of a question that takes less time than to hand it to a thread: nearly every one."""
_SMALL_BYTES: Final = 256 * 1024
_LARGE_BYTES: Final = 48 * 1024 * 1024
"""Of all questions together that are larger than that."""
_PLACES: Final = 128
_AT_ONCE: Final = 1
"""Judgements, so that a crowd leaves half of the processor to claims and to the reconciler."""
_MAX_WAITING: Final = 64
_WAIT_SECONDS: Final = 2.0
"""How long a question may wait for its turn; the API server does not wait much longer."""
_LINGER_SECONDS: Final = 2.0
"""How long the rest of a body may come that is not read, so that its sender sees the answer."""


class AdmissionServer:
    """Answers questions about jobs; whoever asks, for nothing is told that was not brought.

    Args:
        bounds: of templates, by the operator's settings.
    """

    def __init__(self, *, host: str, port: int, tls: ssl.SSLContext, bounds: Bounds) -> None:
        self._address = host, port
        self._tls = tls
        self._bounds = bounds
        self._door = Door(places=_PLACES)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="admission")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._free_bytes = _LARGE_BYTES
        application = web.Application(client_max_size=_MAX_BYTES)
        application.add_routes([web.post(PATH, self._review)])
        self._runner = web.AppRunner(application, access_log=None, lingering_time=_LINGER_SECONDS)

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        handlers = self._runner.server
        assert handlers is not None, "the runner is set up"  # noqa: S101 - for the type checker
        await self._door.open(handlers, *self._address, self._tls)

    def failure(self) -> str | None:
        """Return why it is of no use any more, if it is."""
        return self._door.failure()

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.close()
        await self._runner.cleanup()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _review(self, request: web.Request) -> web.Response:
        length = request.content_length
        if length is None or length > _MAX_BYTES:
            return _failure(411 if length is None else 413, f"expected at most {_MAX_BYTES} bytes")
        # Bodies that come drop by drop are put out with their connections; until then the large
        # ones have a share of memory, and leave the small ones, which nearly all are, alone.
        share = length if length > _SMALL_BYTES else 0
        if share > self._free_bytes or self._waiting >= _MAX_WAITING:
            return _failure(503, "too many questions at once")
        self._free_bytes -= share
        try:
            answer = await self._in_turn(await request.read())
        except TimeoutError:
            return _failure(503, "too many questions at once")
        except NoReviewError as exc:
            return _failure(400, str(exc))
        except (ConnectionError, web.RequestPayloadError):
            return _failure(400, "the request did not arrive whole")
        finally:
            self._free_bytes += share
        self._door.renewed(request.transport)
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _in_turn(self, body: bytes) -> dict[str, Any]:
        """Answer a question when it is its turn.

        Raises:
            NoReviewError: it is none.
            TimeoutError: it was not its turn soon enough.
        """
        if len(body) <= _TINY_BYTES:
            return _answer(body, self._bounds)
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _answer, body, self._bounds)
        finally:
            self._turns.release()


def _answer(body: bytes, bounds: Bounds) -> dict[str, Any]:
    """Read, judge and answer; what cannot be judged may pass, for the controller looks at it, too.

    Raises:
        NoReviewError: it is no question.
    """
    try:
        question = judging.read(orjson.loads(body))
    except orjson.JSONDecodeError as exc:
        raise NoReviewError(f"the body is no JSON: {exc}") from exc
    try:
        verdict = judging.judge(question, bounds)
    except Exception as exc:  # noqa: BLE001 - of any shape, for any body is
        logger.warning("a job could not be looked at when it came: %s", type(exc).__name__)
        verdict = Verdict([], ["this job could not be looked at before it was stored"])
    return judging.answer(question.uid, verdict)


def _failure(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
