"""uvicorn's HTTP/1.1 with limits of our own.

A connection that says nothing, or half a request, is not kept: by itself uvicorn
would wait for ever. What is no HTTP at all is hung up on, as by the original.
"""

import asyncio
import re
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS: Final = 10.0
"""How long a request's head may take, from the first byte or the connection's beginning."""
BODY_SECONDS: Final = 20.0
"""How long a body may pause."""
BODY_BYTES_A_SECOND: Final = 1024
"""How slow a body may be in the long run."""
READ_SECONDS: Final = 30.0
"""How long a client may leave a full buffer of an answer unread."""
_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/1\.[01]\r?\n")
_MAX_LINE: Final = 64 * 1024


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._begin = b""
        self._has_all = False
        self._body_since = 0.0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_stalled()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; how long the rest may take follows from what is missing."""
        is_idle = self.conn.their_state is h11.IDLE
        if is_idle and len(self._begin) < _MAX_LINE:
            self._begin += data[:_MAX_LINE]
        if self.conn.their_state is h11.SEND_BODY:
            self._body_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY:
            self._wait_for_body()
        elif self.conn.their_state is not h11.IDLE:
            self._begin = b""
            self._stop_waiting()
        elif not is_idle or self._timer is None:
            self._wait(HEAD_SECONDS)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Hear that nothing more will come: who has asked may still wait for his answer.

        Once that has begun, it is taken for the end of who reads it, so that streams end, too.
        """
        cycle: RequestResponseCycle | None = self.cycle
        is_asked = cycle is not None and not cycle.response_started
        self._has_all = is_asked and self.conn.their_state in (h11.DONE, h11.MUST_CLOSE)
        return self._has_all

    def _wait_for_body(self) -> None:
        now = self.loop.time()
        if self._begin:
            self._begin, self._body_since, self._body_bytes = b"", now, 0
        spent = now - self._body_since - BODY_SECONDS
        if spent > 0 and self._body_bytes < spent * BODY_BYTES_A_SECOND:
            self._hang_up()
        else:
            self._wait(BODY_SECONDS)

    def on_response_complete(self) -> None:
        """Be ready for the next request; an idle connection is uvicorn's to end."""
        self._begin = b""
        self._stop_waiting()
        super().on_response_complete()
        if self._has_all and self.cycle.response_complete:
            self.transport.close()  # nothing that came with it is left to be answered

    def pause_writing(self) -> None:
        """Give a reader who does not keep up some time, but not for ever."""
        super().pause_writing()
        self._stalled = self.loop.call_later(READ_SECONDS, self._hang_up)

    def resume_writing(self) -> None:
        """Go on: what was sent has been read."""
        self._stop_stalled()
        super().resume_writing()

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's form
        """Answer what cannot be understood: without a word if it is no HTTP at all."""
        if not _LINE.match(self._begin):
            self._hang_up()
            return
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        try:
            event = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            self.transport.write(self.conn.send(event) or b"")
            self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError:
            pass  # an answer is under way already
        self.transport.close()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()
