"""Processes that check submissions, so that no factfile holds up the server.

A factfile can be megabytes, or take its time in other ways. Checked elsewhere,
one that takes too long is ended with its process, and everything else goes on
meanwhile. Each process checks one submission at a time.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import struct
import sys
from typing import Final

from factotum.jobs.errors import BackendError, DryRunError, SubmissionError
from factotum.jobs.views import JobRequest, Submission

logger = logging.getLogger(__name__)

_LIMIT_SECONDS: Final = 20.0
_LENGTH: Final = struct.Struct("!I")


class CheckingProcesses:
    """A few checking processes, each started when it is needed. Belongs to one event loop.

    Args:
        program: the runner as messages call it.
        count: how many processes.
        limit_seconds: how long a check may take.
    """

    def __init__(
        self, program: str, *, count: int = 2, limit_seconds: float = _LIMIT_SECONDS
    ) -> None:
        self._program = program
        self._limit_seconds = limit_seconds
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._processes = [_Process() for _ in range(count)]
        for process in self._processes:
            self._idle.put_nowait(process)

    async def stop(self) -> None:
        """End the processes."""
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def check(self, submission: Submission, appended: tuple[str, ...]) -> JobRequest:
        """Check a submission (see ``own.check``)."""
        process = await self._idle.get()
        try:
            return await self._check(process, submission, appended)
        finally:
            self._idle.put_nowait(process)

    async def _check(
        self, process: "_Process", submission: Submission, appended: tuple[str, ...]
    ) -> JobRequest:
        command = " ".join(
            (self._program, "run", submission.factfile_path, "--dry-run", *submission.args)
        )
        logger.debug("Executing: [%s]", command)
        question = pickle.dumps((submission, appended, self._program))
        try:
            async with asyncio.timeout(self._limit_seconds):
                answer = await process.ask(question)
        except TimeoutError:
            await process.stop()
            reason = f"it could not be checked within {self._limit_seconds:g} s"
            raise DryRunError(command, "", reason) from None
        except BaseException:
            await process.stop()  # its answer would be taken for the next one's
            raise
        if isinstance(answer, JobRequest):
            logger.debug("Dry run success")
            return answer
        if isinstance(answer, SubmissionError):
            raise answer
        raise BackendError(f"the submission could not be checked: {answer}")


class _Process:
    """One process, started again when it has ended."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a file in the working folder must not take a module's place
                "-c",
                "from factotum.jobs.checking.processes import serve; serve()",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 26,
                # Wherever this server's own modules are, be it by its launcher alone.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return self._process

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def ask(self, question: bytes) -> object:
        try:
            return await self._ask(question)
        except (OSError, EOFError):
            # It had ended, or this submission ended it: only the second time is that sure.
            await self.stop()
        try:
            return await self._ask(question)
        except (OSError, EOFError) as exc:
            await self.stop()
            raise BackendError("the process that checks submissions has ended") from exc

    async def _ask(self, question: bytes) -> object:
        process = await self.start()
        assert process.stdin is not None, "it was started with one"  # noqa: S101 - for mypy
        assert process.stdout is not None, "it was started with one"  # noqa: S101 - for mypy
        process.stdin.write(_LENGTH.pack(len(question)) + question)
        await process.stdin.drain()
        (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
        # Our own process's, made of our own values.
        return pickle.loads(await process.stdout.readexactly(length))  # noqa: S301


def serve() -> None:
    """Be a checking process: answer what comes on standard input until it ends."""
    from factotum.jobs.checking import own

    # The server ends us by closing the line; a Ctrl-C in its terminal is for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(_LENGTH.size):
        submission, appended, program = pickle.loads(  # noqa: S301 - the server's own values
            source.read(_LENGTH.unpack(head)[0])
        )
        answer: object
        try:
            answer = own.check(submission, appended, program)
        except SubmissionError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answer = f"{type(error).__name__}: {error}"
        payload = pickle.dumps(answer)
        sink.write(_LENGTH.pack(len(payload)) + payload)
        sink.flush()
