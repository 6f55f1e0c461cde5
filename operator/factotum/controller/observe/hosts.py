"""Host constraints: which Node a job's ``constraints.host`` means.

Matching is pure; only ``Resolver`` looks names up, with a time limit and a
short memory, away from the event loop. A name that does not exist makes the
job a no-op, as in the original; a resolver that does not answer makes it wait.
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from factotum.controller.facts.nodes import NodeView
from factotum.controller.facts.observed import (
    AnyNode,
    HostFact,
    HostUnknown,
    NoNode,
    OnNode,
    SeveralNodes,
)
from factotum.core.errors import FactotumError

# The original's words for a name that has no address, and for an address that
# is not this machine's.
NO_ADDRESS: Final = "could not find any IPv4 addresses for the supplied hostname"
NO_MATCH: Final = "failed to match any of the interface addresses to the found host addresses"

# The last is the answer for an IPv6 address, which the original never matches.
_NOT_FOUND: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})
_REMEMBER_SECONDS: Final = 30.0
_MAX_REMEMBERED: Final = 10_000
_THREADS: Final = 32


def match(
    value: str, nodes: Iterable[NodeView], resolved: frozenset[str] | None
) -> HostFact | None:
    """Find the Node that a constraint means.

    Args:
        value: of the constraint.
        resolved: the IPv4 addresses the value has; None if not looked up yet.

    Returns:
        The answer, or None if it takes a look-up to know.
    """
    if value == "*":
        return AnyNode()
    nodes = list(nodes)
    # An empty value must not match a label that is missing.
    found = [n for n in nodes if value and value in (n.name, n.label, *n.hostnames)]
    if not found:
        found = [n for n in nodes if value in n.addresses]
    if not found:
        if resolved is None:
            return None
        if not resolved:
            return NoNode(reason=NO_ADDRESS)
        found = [n for n in nodes if resolved & n.addresses]
    if not found:
        return NoNode(reason=NO_MATCH)
    if len(found) > 1:
        return SeveralNodes(names=tuple(sorted(n.name for n in found)))
    node = found[0]
    alone = bool(node.label) and sum(n.label == node.label for n in nodes) == 1
    return OnNode(name=node.name, label=node.label if alone else None, unready=node.unready)


class UnresolvedError(FactotumError):
    """The resolver gave no answer; the text says why."""


class Resolver:
    """Looks names up by the system's resolver.

    Args:
        seconds: after which a look-up counts as unanswered.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # A look-up that hangs keeps its thread; others must still get one.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def close(self) -> None:
        """Let go of the threads, also of those that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, name: str) -> frozenset[str]:
        """Return a name's IPv4 addresses; empty if there is no such name.

        Raises:
            UnresolvedError: nobody knows, at present.
        """
        moment, known = self._known.get(name, (0.0, frozenset()))
        if moment and time.monotonic() - moment < _REMEMBER_SECONDS:
            return known
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                answer = await loop.run_in_executor(self._threads, _look_up, name)
        except TimeoutError as exc:
            msg = f'"{name}" could not be resolved: no answer within {self._seconds:g} s'
            raise UnresolvedError(msg) from exc
        except OSError as exc:
            msg = f'"{name}" could not be resolved: {exc.strerror or exc}'
            raise UnresolvedError(msg) from exc
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic(), answer)
        return answer


def _look_up(name: str) -> frozenset[str]:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except UnicodeError:
        return frozenset()
    except socket.gaierror as exc:
        if exc.errno in _NOT_FOUND:
            return frozenset()
        raise
    return frozenset(str(entry[4][0]) for entry in found)


async def resolve(value: str | None, nodes: Iterable[NodeView], resolver: Resolver) -> HostFact:
    """Answer what a constraint means, looking its value up if need be."""
    if value is None:
        return AnyNode()
    nodes = list(nodes)
    fact = match(value, nodes, None)
    if fact is not None:
        return fact
    try:
        # An empty name would mean this very machine to the resolver.
        resolved = await resolver.addresses(value) if value else frozenset()
    except UnresolvedError as exc:
        return HostUnknown(message=str(exc))
    return match(value, nodes, resolved) or NoNode(reason=NO_ADDRESS)
