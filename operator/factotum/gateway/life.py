"""The server's life: from the listening socket to the signal that ends it."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvloop

from factotum.core.errors import FactotumError
from factotum.gateway import log
from factotum.gateway.assembly import Assembly, SettingsError, warning
from factotum.gateway.options import Options
from factotum.gateway.original.endpoints import VERSION
from factotum.gateway.wire.server import HttpServer

if TYPE_CHECKING:
    from factotum.gateway.cluster import ClusterAssembly

logger = logging.getLogger(__name__)

_EXIT_BAD = 1


def live(given: Options, listener: socket.socket) -> int:
    """Serve until a signal says that it is over; return the exit code.

    Args:
        given: the options.
        listener: where requests come in.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            number = runner.run(_live(given, listener))
        except FactotumError as error:
            log.say(f"Failed to start server - {error}")
            log.end()
            return _EXIT_BAD
    log.end()
    # End as the original does, by the signal itself: whoever sent it looks at that.
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    return 128 + number


async def _live(given: Options, listener: socket.socket) -> int:
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _note, over, number)
    assembly = await _assembled(given)
    server = HttpServer(assembly.application())
    await assembly.start()
    try:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        _greet(given, listener)
        ends: set[asyncio.Future[Any]] = {over, serving}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assembly.front.close()
        server.stop()
        await serving
    finally:
        listener.close()
        await assembly.stop()
    return await over


async def _assembled(given: Options) -> "Assembly | ClusterAssembly":
    if not given.uses_cluster:
        return Assembly(given)
    try:
        from factotum.gateway.cluster import ClusterAssembly
    except ModuleNotFoundError as error:
        msg = f"--backend=kubernetes needs more packages ({error}): install '.[server,operator]'"
        raise SettingsError(msg) from None
    return await ClusterAssembly.connect(given)


def _note(over: asyncio.Future[int], number: int) -> None:
    if not over.done():
        over.set_result(number)


def _greet(given: Options, listener: socket.socket) -> None:
    text = (
        f"Factotum Server version [{VERSION}] listening on [{given.ip}:{listener.getsockname()[1]}]"
    )
    logger.info("%s", text)
    log.say(text)
    if told := warning(given):
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{told}\n")
