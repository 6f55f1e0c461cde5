"""Serving an application: uvicorn, told when to stop by whoever runs it."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from factotum.gateway.wire.protocol import BoundedProtocol

_STOP_SECONDS: Final = 3
_KEEP_ALIVE_SECONDS: Final = 5
_BACKLOG: Final = 2048


class HttpServer(uvicorn.Server):
    """One listening socket.

    Args:
        application: ASGI.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_STOP_SECONDS,
                backlog=_BACKLOG,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs us: jobs must be taken care of first."""
        yield

    def stop(self) -> None:
        """End: no new connections, and what is under way gets a few seconds."""
        self.should_exit = True


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        OSError: the address cannot be listened on.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
