"""Who this machine is, asked of the real kernel and the real resolver."""

import os
import socket

import pytest

from factotum.runner import host


def own_address() -> str:
    """Return an address by another way: the one that packets to elsewhere would carry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("192.0.2.1", 9))
        return sender.getsockname()[0]


def test_the_interfaces_include_the_one_that_leads_out():
    try:
        expected = own_address()
    except OSError:  # a machine without any network
        assert host.list_addresses() == set()
    else:
        assert expected in host.list_addresses()
    assert not any(address.startswith("127.") for address in host.list_addresses())


@pytest.mark.parametrize("value", ["*", os.uname().nodename, *sorted(host.list_addresses())])
def test_this_machine_matches(value):
    assert host.find_mismatch(value) is None


@pytest.mark.skipif(not host.list_addresses(), reason="says another text without a network")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("127.0.0.1", host.NO_MATCH),
        ("127.1", host.NO_MATCH),
        ("0.0.0.0", host.NO_MATCH),
        ("::1", host.NO_MATCH),
        ("", host.NO_ADDRESSES),
        ("nosuchhost.invalid", host.NO_ADDRESSES),
        ("a" * 300, host.NO_ADDRESSES),
        ("a\0b", host.NO_ADDRESSES),
        ("\udcff", host.NO_ADDRESSES),
    ],
)
def test_others_do_not(value, reason):
    assert host.find_mismatch(value) == reason


def test_without_netlink_the_own_name_is_resolved(monkeypatch):
    monkeypatch.delattr(socket, "AF_NETLINK")  # as on another system

    expected = host.resolve(os.uname().nodename)
    assert host.list_addresses() == {
        each for each in expected if "." in each and not each.startswith("127.")
    }
