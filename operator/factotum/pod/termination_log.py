"""The container's termination message file: one write at each change."""

from __future__ import annotations

import os


class TerminationLog:
    """The file that the kubelet reads when the container has ended.

    A message is written by one ``write`` and what an earlier, longer one left
    behind it is cut off after that; the checksum in it tells a torn one.
    """

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = None
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError:
            # Then reports alone must tell: no reason not to run the job.
            return

    def is_empty(self) -> bool:
        """Whether nothing was written yet, by any process of this container."""
        return self._descriptor is not None and os.fstat(self._descriptor).st_size == 0

    def write(self, message: bytes) -> None:
        """Replace the message."""
        if self._descriptor is None:
            return
        os.pwrite(self._descriptor, message, 0)
        os.ftruncate(self._descriptor, len(message))
