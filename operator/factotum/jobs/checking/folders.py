"""Factfiles by path, out of a few folders and nowhere else.

What is mounted into a server (a ConfigMap, a checkout) is full of links, so
links are followed, by our own steps: each name is opened in the folder that is
already open, and nothing leads up beyond the one that was begun in, nor
elsewhere by an absolute path. So whatever changes meanwhile, no step leaves it.
"""

import asyncio
import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from factotum.jobs.checking import identity
from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.errors import FactfileMissingError, RefusedByPolicyError
from factotum.jobs.views import JobRequest, Submission

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAX_LINKS: Final = 40
_MAX_NAMES: Final = 4096


class FolderChecker:
    """Checks submissions whose factfiles are in folders of the server's. Implements
    ``service.Checker``.

    Args:
        inner: checks the text.
        folders: absolute paths; a relative path is looked for in each of them, in their order.
    """

    def __init__(self, inner: CheckingProcesses, folders: Sequence[str]) -> None:
        self._inner = inner
        self._folders = tuple(folder.rstrip("/") for folder in folders)

    async def check(self, submission: Submission, appended: tuple[str, ...]) -> JobRequest:
        """Check a submission (see ``own.check``)."""
        if submission.factfile is None:
            text = await asyncio.to_thread(read, self._folders, submission.factfile_path)
            submission = replace(submission, factfile=text)
        return await self._inner.check(submission, appended)


def read(folders: Sequence[str], path: str) -> str:
    """Return the text of a factfile in one of some folders; what is no UTF-8 as surrogates.

    Raises:
        FactfileMissingError: there is none; whether there is something elsewhere is not told.
        RefusedByPolicyError: it is too large.
    """
    for folder in folders:
        if not path.startswith("/"):
            rest = path
        elif path.startswith(f"{folder}/"):
            rest = path[len(folder) + 1 :]
        else:
            continue
        try:
            descriptor = open_beneath(folder, rest)
        except (OSError, ValueError):
            continue
        with os.fdopen(descriptor, "rb") as file:
            payload = file.read(identity.MAX_BYTES + 1)
        if len(payload) > identity.MAX_BYTES:
            raise RefusedByPolicyError(f"{path!r} is larger than {identity.MAX_BYTES} bytes")
        return payload.decode("utf-8", "surrogateescape")
    raise FactfileMissingError(path)


def open_beneath(folder: str, path: str) -> int:
    """Open a file below a folder, by a path that never leaves it; return its descriptor.

    Raises:
        OSError: there is no such file there.
        ValueError: it is no path.
    """
    way = _Way(folder)
    try:
        return way.walk(path)
    finally:
        way.close()


class _Way:
    """The folders that are open on the way to a file, from the first one on."""

    def __init__(self, folder: str) -> None:
        self._opened = [os.open(folder, (_FLAGS & ~os.O_NOFOLLOW) | os.O_DIRECTORY)]
        self._links = 0

    def close(self) -> None:
        for descriptor in self._opened:
            os.close(descriptor)

    def walk(self, path: str) -> int:
        names = path.split("/")[::-1]
        while names and len(names) <= _MAX_NAMES:
            name = names.pop()
            if name == "..":
                self._go_up(path)
            elif name not in ("", "."):
                names += self._enter(name, path)
                kind = os.fstat(self._opened[-1]).st_mode
                if stat.S_ISREG(kind) and not names:
                    return self._opened.pop()
                if not stat.S_ISDIR(kind):
                    break
        raise _refused(path)

    def _go_up(self, path: str) -> None:
        if len(self._opened) == 1:
            raise _refused(path)
        os.close(self._opened.pop())

    def _enter(self, name: str, path: str) -> list[str]:
        """Open a name in the innermost folder; return the steps to take if it is a link."""
        try:
            self._opened.append(os.open(name, _FLAGS, dir_fd=self._opened[-1]))
        except OSError as error:
            self._links += 1
            if error.errno != errno.ELOOP or self._links > _MAX_LINKS:
                raise
            return _steps(os.readlink(name, dir_fd=self._opened[-1]), path)
        return []


def _steps(target: str, path: str) -> list[str]:
    """Return the names that a link leads by, the first one last."""
    if target.startswith("/"):
        raise _refused(path)
    return target.split("/")[::-1]


def _refused(path: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
