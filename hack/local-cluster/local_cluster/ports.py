"""Free ports and the address of this machine.

A port that was chosen is kept from other runs of the tool until its program has had the time to
bind it: by a name in the same network namespace, which goes with this process.
"""

import random
import socket

from local_cluster.errors import ClusterError

# Below the ports that the kernel gives to outgoing connections (from 32768) and below node
# ports (from 30000): what is free at the look stays free until the program binds it.
_RANGE = range(20000, 30000)

_kept: list[socket.socket] = []


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True


def _keep(port: int) -> bool:
    """Keep a port from other runs; tell whether none of them has it."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0factotum-operator port {port}")
    except OSError:
        name.close()
        return False
    _kept.append(name)
    return True


def choose(count: int) -> list[int]:
    """Choose free ports, at random, so that clusters that start together do not meet."""
    chosen: list[int] = []
    for port in random.sample(_RANGE, k=len(_RANGE)):
        if _keep(port) and _is_free(port):
            chosen.append(port)
            if len(chosen) == count:
                return chosen
    raise ClusterError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")


def own_address() -> str:
    """Give the IPv4 address by which this machine reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            raise ClusterError(
                "this machine has no IPv4 route, so a node has no address Pods could reach; "
                "give one, e.g.: ip link add dummy0 type dummy; ip addr add 10.250.0.1/24 "
                "dev dummy0; ip link set dummy0 up; ip route add default dev dummy0"
            ) from None
    return address
