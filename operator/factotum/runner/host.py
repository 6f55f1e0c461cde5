"""Who this machine is, for host constraints. Only loaded when a constraint asks."""

from __future__ import annotations

import _thread
import os
import socket

from factotum.runner.console import encode

_RTM_GETADDR = 22
_RTM_NEWADDR = 20
_NLMSG_DONE = 3
_NLM_F_REQUEST_DUMP = 0x301
_IFA_LOCAL = 2
_HEADER = 16  # bytes of a netlink message header
_ADDRESS_HEADER = 8

NO_HOST_NAME = "could not get hostname from system; cannot compare against supplied hostname"
NO_INTERFACES = (
    "could not find any non-loopback IPv4 addresses in the network interfaces;"
    " do you have a working network interface card?"
)
NO_ADDRESSES = "could not find any IPv4 addresses for the supplied hostname"
NO_MATCH = "failed to match any of the interface addresses to the found host addresses"


def find_mismatch(value: str) -> str | None:
    """Return why this machine is not the one meant by `value`, None if it is."""
    if value == "*":
        return None
    try:
        name = os.uname().nodename
    except OSError:
        return NO_HOST_NAME
    if value == name:
        return None
    own = list_addresses()
    if not own:
        return NO_INTERFACES
    wanted = resolve(value)
    if not wanted:
        return NO_ADDRESSES
    return None if wanted & own else NO_MATCH


def resolve(name: str) -> set[str]:
    """Return all addresses of a host name; a literal address stands for itself."""
    if not name:
        return set()
    found: list[str] = []
    answered = _thread.allocate_lock()
    answered.acquire()

    def ask() -> None:
        try:
            # As bytes, so that Python applies no rules of its own to the name.
            answers = socket.getaddrinfo(encode(name), None, type=socket.SOCK_STREAM)
            found.extend(str(answer[4][0]) for answer in answers)
        except (OSError, ValueError):
            pass
        finally:
            answered.release()

    try:
        # The resolver waits for a silent server whatever signal comes; a lock does not.
        _thread.start_new_thread(ask, ())
    except RuntimeError:  # no thread is to be had
        ask()
    answered.acquire()
    return set(found)


def list_addresses() -> set[str]:
    """Return the IPv4 addresses of all interfaces but those of the loopback network."""
    has_netlink = hasattr(socket, "AF_NETLINK")
    found = _ask_kernel() if has_netlink else resolve(os.uname().nodename)
    return {address for address in found if not address.startswith("127.") and ":" not in address}


def _ask_kernel() -> set[str]:
    """Dump the interfaces' addresses through netlink, as `ip address` does."""
    request = (
        (_HEADER + _ADDRESS_HEADER).to_bytes(4, "little")
        + _RTM_GETADDR.to_bytes(2, "little")
        + _NLM_F_REQUEST_DUMP.to_bytes(2, "little")
        + bytes(8)  # sequence number and port
        + bytes([socket.AF_INET])
        + bytes(_ADDRESS_HEADER - 1)
    )
    found: set[str] = set()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
            kernel.sendto(_to_native(request), (0, 0))
            while not _read_messages(kernel.recv(1 << 16), found):
                pass
    except OSError:
        pass  # a sandbox without netlink: then no address is known
    return found


def _read_messages(data: bytes, found: set[str]) -> bool:
    """Collect the addresses in one datagram; say whether it was the last one."""
    position = 0
    while position + _HEADER <= len(data):
        length = _number(data[position : position + 4])
        kind = _number(data[position + 4 : position + 6])
        if kind != _RTM_NEWADDR:
            return True  # the end, or an error
        _read_attributes(data[position + _HEADER + _ADDRESS_HEADER : position + length], found)
        position += (length + 3) & ~3
    return False


def _read_attributes(data: bytes, found: set[str]) -> None:
    position = 0
    while position + 4 <= len(data):
        length = _number(data[position : position + 2])
        if length < 4:
            return
        if _number(data[position + 2 : position + 4]) == _IFA_LOCAL:
            found.add(socket.inet_ntoa(data[position + 4 : position + 8]))
        position += (length + 3) & ~3


def _number(data: bytes) -> int:
    import sys

    return int.from_bytes(data, sys.byteorder)


def _to_native(request: bytes) -> bytes:
    """Turn the little-endian header around on a machine of the other kind."""
    import sys

    if sys.byteorder == "little":
        return request
    return request[3::-1] + request[5:3:-1] + request[7:5:-1] + request[8:]
