"""Writes a whole file where the user wants it, as careful programs do.

Links are followed. A file is replaced in one step and keeps its mode and owner,
so a failure leaves the old one as it was; where it cannot be replaced (by its
folder, or because it has other names) it is written over, once there is room.
Pipes, devices and open descriptors (`/dev/stdout`) are written to and stay.
"""

from __future__ import annotations

import errno
import os
import stat
from time import sleep

from factotum.core.errors import FactotumError
from factotum.runner.console import encode
from factotum.runner.outlet import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.runner.outlet import Outlets

_MOST_LINKS = 40
_OPEN = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY
_LOOK_SECONDS = 0.02


class CreateError(FactotumError):
    """The file cannot be made or opened.

    Attributes:
        error: The system's word on it.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def write_file(path: str, data: bytes, outlets: Outlets, *, may_replace: bool = True) -> None:
    """Write the data to the place that a path means.

    Args:
        path: As an argument gave it.
        data: All that a file is to contain.
        outlets: Those of this process: a path may mean its standard output.
            They also say when the wait for a slow reader is over.
        may_replace: Whether there may be a file already.

    Raises:
        CreateError: It could not be opened for writing.
        OSError: It could not be written.
    """
    try:
        place, descriptor = _follow(encode(path))
        found = _look(place) if descriptor is None else None
        if descriptor is not None:
            _write_to(outlets.at(_check(descriptor)), data)
        elif found is None:
            _create(place, data, in_one_step=may_replace)
        elif not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            _write_through(place, data, outlets, waits=stat.S_ISFIFO(found.st_mode))
        elif not may_replace:
            raise CreateError(_system_error(errno.EEXIST))
        elif not _replace(place, data, found):
            _write_over(place, data)
    except ValueError:
        raise CreateError(_system_error(errno.EINVAL)) from None  # a NUL in the path


def _follow(path: bytes) -> tuple[bytes, int | None]:
    """Return where the links at the end of a path lead, or which descriptor of ours they mean."""
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(path)
        if name.isdigit():
            whose = _whose_descriptors(folder)
            if whose is not None:
                return path, int(name) if whose == os.path.realpath(b"/proc/self") else None
        try:
            target = os.readlink(path)  # noqa: PTH115 - pathlib costs start-up
        except OSError:
            return path, None  # no link; what else is wrong shows when it is opened
        _look(path)  # the system may refuse to follow it: another's link in a folder of everybody's
        path = os.path.join(folder, target)  # noqa: PTH118 - as above
    raise CreateError(_system_error(errno.ELOOP))


def _whose_descriptors(folder: bytes) -> bytes | None:
    """Return the process whose descriptors a folder lists, None if it is another folder."""
    parts = os.path.realpath(folder).split(b"/")
    if parts[:2] != [b"", b"proc"] or parts[-1] != b"fd" or len(parts) < 4:
        return None
    return b"/".join(parts[:3])


def duplicate(path: bytes) -> int | None:
    """Return another descriptor of what a path means if that is one of this process's own.

    Raises:
        CreateError: There is no such descriptor.
    """
    descriptor = _follow(path)[1]
    return None if descriptor is None else os.dup(_check(descriptor))


def _check(descriptor: int) -> int:
    """Return the descriptor if it was given to this process, to be written to."""
    import fcntl

    try:
        # What we have opened ourselves is not inherited, and not the user's to name.
        is_given = os.get_inheritable(descriptor)
        is_given &= fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except (OSError, OverflowError):
        is_given = False
    if not is_given:
        raise CreateError(_system_error(errno.EBADF))
    return descriptor


def _look(place: bytes) -> os.stat_result | None:
    """Return what is known of a place, None if nothing is there."""
    try:
        return os.stat(place)  # noqa: PTH116 - as above
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CreateError(error) from None


def _write_through(place: bytes, data: bytes, outlets: Outlets, *, waits: bool) -> None:
    """Write to something that is no file; a pipe's reader may still have to come."""
    fd = _open_through(place, outlets, waits=waits)
    try:
        os.set_blocking(fd, True)
        outlet = Outlet(fd)
        try:
            _write_to(outlet, data)
            outlet.wait(outlets.is_over)
            if not outlet.is_idle:
                raise _system_error(errno.EINTR)
            outlet.check(0)
        finally:
            outlet.close()
    finally:
        os.close(fd)


def _open_through(place: bytes, outlets: Outlets, *, waits: bool) -> int:
    while True:
        try:
            return os.open(place, _OPEN | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or not waits or outlets.is_over():
                raise CreateError(error) from None
            sleep(_LOOK_SECONDS)


def _write_to(outlet: Outlet, data: bytes) -> None:
    lost = outlet.lost
    outlet.write(data)
    outlet.check(lost)


def _create(place: bytes, data: bytes, *, in_one_step: bool) -> None:
    """Write a new file, and take it away again if that does not succeed."""
    at_first = _beside(place) if in_one_step else place
    fd = _open(at_first, os.O_CREAT | os.O_EXCL)
    try:
        _write_and_close(fd, data)
        if at_first != place:
            _rename(at_first, place)
    except BaseException:
        _remove(at_first)
        raise


def _replace(place: bytes, data: bytes, found: os.stat_result) -> bool:
    """Put a new file into the place of one; say whether that can be done here."""
    if stat.S_ISDIR(found.st_mode):
        raise CreateError(_system_error(errno.EISDIR))
    if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise CreateError(_system_error(errno.EACCES))
    if found.st_nlink > 1 or _has_attributes(place):
        return False
    beside = _beside(place)
    try:
        fd = os.open(beside, _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    try:
        if _liken(fd, found):
            _write_and_close(fd, data)
            os.replace(beside, place)  # noqa: PTH105 - as above
            return True
        os.close(fd)
    except PermissionError:
        pass  # another's file, in a folder where only owners may replace theirs
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV):  # a file that is mounted itself
            _remove(beside)
            raise
    _remove(beside)
    return False


def _liken(fd: int, found: os.stat_result) -> bool:
    """Give a new file the owner and the mode of the old one; say whether that is allowed."""
    made = os.fstat(fd)
    try:
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            os.fchown(fd, found.st_uid, found.st_gid)
        os.fchmod(fd, stat.S_IMODE(found.st_mode))
    except OSError:
        return False
    return True


def _has_attributes(place: bytes) -> bool:
    """Whether a file has more to it than content, mode and owner, such as an access list."""
    if not hasattr(os, "listxattr"):
        return False
    try:
        return any(name != "security.selinux" for name in os.listxattr(place))
    except OSError:
        return False


def _write_over(place: bytes, data: bytes) -> None:
    """Write over a file's content, once it is sure that there is room."""
    fd = _open(place, 0)
    try:
        size = os.fstat(fd).st_size
        try:
            os.posix_fallocate(fd, 0, len(data))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                os.ftruncate(fd, size)
                raise
        _write_all(fd, data)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def _open(place: bytes, flags: int) -> int:
    try:
        return os.open(place, _OPEN | flags, 0o666)
    except OSError as error:
        raise CreateError(error) from None


def _write_and_close(fd: int, data: bytes) -> None:
    """Write all of it; some systems tell only in the end that there is no room."""
    try:
        _write_all(fd, data)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _rename(beside: bytes, place: bytes) -> None:
    try:
        os.replace(beside, place)  # noqa: PTH105 - as above
    except OSError as error:
        raise CreateError(error) from None


def _remove(place: bytes) -> None:
    try:  # noqa: SIM105 - contextlib costs start-up
        os.unlink(place)  # noqa: PTH108 - as above
    except OSError:
        pass  # somebody else has


def _beside(place: bytes) -> bytes:
    """Return a free name in the same folder."""
    name = f".factotum-{os.urandom(8).hex()}.new".encode()
    return os.path.join(os.path.dirname(place), name)  # noqa: PTH118, PTH120 - as above


def _system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
