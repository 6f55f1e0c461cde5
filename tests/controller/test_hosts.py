"""Which Node a host constraint means.

Matching is pure. The resolver is real: the system's, for names that exist
everywhere or nowhere; only the one that never answers is made up.
"""

import asyncio
import threading
import time

import pytest

from factotum.controller.facts.nodes import NodeView
from factotum.controller.facts.observed import AnyNode, HostUnknown, NoNode, OnNode, SeveralNodes
from factotum.controller.observe.hosts import (
    NO_ADDRESS,
    NO_MATCH,
    Resolver,
    UnresolvedError,
    match,
    resolve,
)


def node(name, *addresses, label=None, hostname="", unready=""):
    return NodeView(
        uid=f"uid-{name}",
        name=name,
        label=name if label is None else label,
        hostnames=frozenset({hostname} - {""}),
        addresses=frozenset(addresses),
        unready=unready,
    )


A, B = node("node-a", "10.0.0.1", "203.0.113.1"), node("node-b", "10.0.0.2", hostname="db.example")
TWIN = node("node-c", "10.0.0.1")
NODES = [A, B]
ON_A, ON_B = OnNode(name="node-a", label="node-a"), OnNode(name="node-b", label="node-b")


@pytest.mark.parametrize(
    ("value", "nodes", "resolved", "fact"),
    [
        pytest.param("*", NODES, None, AnyNode(), id="a star is any Node"),
        pytest.param("*", [], None, AnyNode(), id="a star is any Node even if there is none"),
        pytest.param("node-a", NODES, None, ON_A, id="a Node's name"),
        pytest.param("NODE-A", NODES, None, None, id="names are case sensitive"),
        pytest.param(
            "rack-7",
            [node("x", label="rack-7")],
            None,
            OnNode(name="x", label="rack-7"),
            id="a hostname label",
        ),
        pytest.param("db.example", NODES, None, ON_B, id="a Hostname address"),
        pytest.param("10.0.0.2", NODES, None, ON_B, id="an internal address"),
        pytest.param("203.0.113.1", NODES, None, ON_A, id="an external address"),
        pytest.param("db", NODES, None, None, id="anything else takes a look-up"),
        pytest.param("db", NODES, frozenset({"10.0.0.2"}), ON_B, id="a name of a Node's address"),
        pytest.param(
            "db", NODES, frozenset({"192.0.2.1", "10.0.0.2"}), ON_B, id="one of several addresses"
        ),
        pytest.param("db", NODES, frozenset(), NoNode(reason=NO_ADDRESS), id="an unknown host"),
        pytest.param(
            "192.0.2.9",
            NODES,
            frozenset({"192.0.2.9"}),
            NoNode(reason=NO_MATCH),
            id="an address of no Node",
        ),
        pytest.param(
            "localhost",
            NODES,
            frozenset({"127.0.0.1"}),
            NoNode(reason=NO_MATCH),
            id="this machine is no Node",
        ),
        pytest.param("db", [], frozenset({"10.0.0.2"}), NoNode(reason=NO_MATCH), id="no Nodes"),
        pytest.param(
            "10.0.0.1",
            [B, TWIN, A],
            None,
            SeveralNodes(names=("node-a", "node-c")),
            id="two Nodes with one address",
        ),
        pytest.param(
            "db",
            NODES,
            frozenset({"10.0.0.1", "10.0.0.2"}),
            SeveralNodes(names=("node-a", "node-b")),
            id="a name with addresses of two Nodes",
        ),
        pytest.param(
            "same",
            [node("x", label="same"), node("y", label="same")],
            None,
            SeveralNodes(names=("x", "y")),
            id="a label of two Nodes",
        ),
        pytest.param(
            "x",
            [node("x", label="same"), node("y", label="same")],
            None,
            OnNode(name="x", label=None),
            id="a Node whose label is not its own is chosen by name",
        ),
        pytest.param(
            "x",
            [node("x", label="")],
            None,
            OnNode(name="x", label=None),
            id="a Node without label",
        ),
        pytest.param("", [node("x", label="")], None, None, id="nothing is not a missing label"),
        pytest.param("", NODES, frozenset(), NoNode(reason=NO_ADDRESS), id="nothing is no host"),
        pytest.param(
            "node-a",
            [node("node-a", unready="it is cordoned"), B],
            None,
            OnNode(name="node-a", label="node-a", unready="it is cordoned"),
            id="a Node that is not ready is matched all the same",
        ),
    ],
)
def test_every_way_a_constraint_matches(value, nodes, resolved, fact):
    assert match(value, nodes, resolved) == fact


def raw_node(*, spec=None, conditions=(), addresses=(), **metadata):
    return {
        "metadata": {"name": "node-a", "uid": "node-uid"} | metadata,
        "spec": spec or {},
        "status": {
            "conditions": [{"type": kind, "status": status} for kind, status in conditions],
            "addresses": [{"type": kind, "address": address} for kind, address in addresses],
        },
    }


def test_a_node_is_read_from_its_json():
    view = NodeView.from_raw(
        raw_node(
            labels={"kubernetes.io/hostname": "host-a"},
            conditions=[("MemoryPressure", "False"), ("Ready", "True")],
            addresses=[
                ("Hostname", "host-a.example"),
                ("InternalIP", "10.0.0.1"),
                ("InternalIP", "fd00::1"),
                ("ExternalIP", "203.0.113.1"),
                ("ExternalDNS", "a.example"),
            ],
        )
    )

    assert view == NodeView(
        uid="node-uid",
        name="node-a",
        label="host-a",
        hostnames=frozenset({"host-a.example"}),
        addresses=frozenset({"10.0.0.1", "203.0.113.1"}),
        unready="",
    )


@pytest.mark.parametrize(
    ("raw", "unready"),
    [
        pytest.param(raw_node(conditions=[("Ready", "True")]), "", id="ready"),
        pytest.param(raw_node(conditions=[("Ready", "False")]), "it is not ready", id="not ready"),
        pytest.param(raw_node(conditions=[("Ready", "Unknown")]), "it is not ready", id="unknown"),
        pytest.param(raw_node(), "it is not ready", id="never heard of"),
        pytest.param(
            {"metadata": {"name": "node-a", "uid": "node-uid"}},
            "it is not ready",
            id="only just made",
        ),
        pytest.param(
            raw_node(spec={"unschedulable": True}, conditions=[("Ready", "True")]),
            "it is cordoned",
            id="cordoned",
        ),
    ],
)
def test_a_node_says_why_nothing_can_start_there(raw, unready):
    assert NodeView.from_raw(raw).unready == unready


@pytest.fixture
def resolver():
    resolver = Resolver(5.0)
    yield resolver
    resolver.close()


async def test_a_known_name_has_its_addresses(resolver):
    assert await resolver.addresses("localhost") == {"127.0.0.1"}


async def test_an_address_is_its_own_name(resolver):
    assert await resolver.addresses("10.1.2.3") == {"10.1.2.3"}


@pytest.mark.parametrize(
    "name",
    ["unknown.invalid", "a..b", "x" * 70, "::1", "fd00::1"],
    ids=["unknown", "empty label", "too long a label", "IPv6 loopback", "IPv6"],
)
async def test_what_has_no_ipv4_address_is_unknown_for_good(resolver, name):
    assert await resolver.addresses(name) == frozenset()


async def test_a_resolver_that_does_not_answer_is_unanswered_in_time(monkeypatch):
    release = threading.Event()
    # The system's resolver cannot be made to hang, so a stand-in does.
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: release.wait(5) and [])
    resolver = Resolver(0.05)
    try:
        began = time.monotonic()
        with pytest.raises(UnresolvedError, match=r'"slow" could not be resolved: no answer'):
            await resolver.addresses("slow")
        assert time.monotonic() - began < 1
        fact = await resolve("slow", NODES, resolver)
        assert isinstance(fact, HostUnknown)
        assert "within 0.05 s" in fact.message
    finally:
        release.set()
        resolver.close()


async def test_a_resolver_that_hangs_does_not_stop_the_event_loop(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: release.wait(5) and [])
    resolver = Resolver(0.2)
    try:
        looking = asyncio.create_task(resolve("slow", NODES, resolver))
        await asyncio.sleep(0)
        assert await resolve("node-a", NODES, resolver) == ON_A
        assert not looking.done()
        await looking
    finally:
        release.set()
        resolver.close()


async def test_an_answer_is_remembered_and_a_failure_is_not(monkeypatch):
    asked = []

    def look_up(name, *_):
        asked.append(name)
        if len(asked) == 1:
            raise OSError(11, "try again")
        return [(2, 1, 6, "", ("10.0.0.2", 0))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    resolver = Resolver(5.0)
    try:
        first = await resolve("db", NODES, resolver)
        assert first == HostUnknown(message='"db" could not be resolved: try again')
        assert await resolve("db", NODES, resolver) == ON_B
        assert await resolve("db", NODES, resolver) == ON_B
    finally:
        resolver.close()
    assert len(asked) == 2


async def test_no_constraint_is_any_node(resolver):
    assert await resolve(None, NODES, resolver) == AnyNode()


async def test_an_empty_constraint_is_no_host_and_not_looked_up(resolver, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("it was looked up"))

    assert await resolve("", [node("x", label="")], resolver) == NoNode(reason=NO_ADDRESS)


async def test_an_unknown_name_is_a_no_op_and_a_known_one_of_no_node_too(resolver):
    assert await resolve("unknown.invalid", NODES, resolver) == NoNode(reason=NO_ADDRESS)
    assert await resolve("localhost", NODES, resolver) == NoNode(reason=NO_MATCH)
