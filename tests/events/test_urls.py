"""Which addresses can be a webhook, why others cannot, and what is asked of the server.

Pure. The accepted and refused addresses are those of the original's behaviour; only the
first two reasons are words of a contract, the others are kept all the same.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.events.urls import Endpoint, WebhookUrlError, parse_webhook_url

BAD_START = "URL must begin with 'http://' or 'https://' to be used with Factotum webhooks"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("potato.com/", BAD_START),
        ("ftp://x", BAD_START),
        ("HTTP://x/", BAD_START),
        (" http://x/", BAD_START),
        ("http:/x", BAD_START),
        ("", BAD_START),
        ("http://", "empty host"),
        ("http:///", "empty host"),
        ("http://?x", "empty host"),
        ("http://#x", "empty host"),
        ("http://:80/", "empty host"),
        ("http://user@", "empty host"),
        ("http://a:b:c/", "invalid port number"),
        ("http://a:65536/", "invalid port number"),
        ("http://a:-1/", "invalid port number"),
        ("http://a:" + "9" * 5000, "invalid port number"),
        ("http://[::1]:x/", "invalid port number"),
        ("http://[1/", "invalid IPv6 address"),
        ("http://[::g]/", "invalid IPv6 address"),
        ("http://[::1]80/", "invalid IPv6 address"),
        ("http://[::1/", "invalid IPv6 address"),
        ("http://a[b:80]/", "invalid domain character"),
        ("http://a b:x/", "invalid domain character"),
        ("http://[fe80::1%eth0]/", "invalid IPv6 address"),
        ("http://256.1.1.1/", "invalid IPv4 address"),
        ("http://1.2.3.256/", "invalid IPv4 address"),
        ("http://0x100000000/", "invalid IPv4 address"),
        ("http://a b/", "invalid domain character"),
        ("http://a%zz/", "invalid domain character"),
        ("http://a%20b/", "invalid domain character"),
        ("http://a\x1f/", "invalid domain character"),
        ("http://xn--a/", "invalid international domain name"),
        ("http://a\u200e.de/", "invalid international domain name"),
    ],
)
def test_address_is_refused_with_a_reason(url, reason):
    with pytest.raises(WebhookUrlError) as caught:
        parse_webhook_url(url)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("url", "host", "port", "header"),
    [
        ("http://potato.com/", "potato.com", 80, "potato.com"),
        ("https://potato.com/", "potato.com", 443, "potato.com"),
        ("http://Potato.COM:8080", "potato.com", 8080, "potato.com:8080"),
        ("http://a:80/", "a", 80, "a"),
        ("https://a:80/", "a", 80, "a:80"),
        ("http://a:/", "a", 80, "a"),
        ("http://a:00080/", "a", 80, "a"),
        ("http://a_b/", "a_b", 80, "a_b"),
        ("http://a<b/", "a<b", 80, "a<b"),
        ("http://u:p@ss@h:81/", "h", 81, "h:81"),
        ("http:////h/", "h", 80, "h"),
        ("http://h\\x", "h", 80, "h"),
        ("http://[::1]:81/", "::1", 81, "[::1]:81"),
        ("http://[0:0::1]/", "::1", 80, "[::1]"),
        ("http://1.2.3/", "1.2.0.3", 80, "1.2.0.3"),
        ("http://0x7f.1/", "127.0.0.1", 80, "127.0.0.1"),
        ("http://017700000001/", "127.0.0.1", 80, "127.0.0.1"),
        ("http://1.2.3.4.5/", "1.2.3.4.5", 80, "1.2.3.4.5"),
        ("http://1.2.3.x/", "1.2.3.x", 80, "1.2.3.x"),
        ("http://b\u00fccher.de/", "xn--bcher-kva.de", 80, "xn--bcher-kva.de"),
        ("http://b%C3%BCcher.de/", "xn--bcher-kva.de", 80, "xn--bcher-kva.de"),
        ("http://xn--bcher-kva.de/", "xn--bcher-kva.de", 80, "xn--bcher-kva.de"),
    ],
)
def test_address_names_a_host_and_a_port(url, host, port, header):
    endpoint = parse_webhook_url(url)

    assert (endpoint.host, endpoint.port, endpoint.host_header) == (host, port, header)
    assert endpoint.url == url


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("#x", "/"),
        ("/#x?y", "/"),
        ("/a/b", "/a/b"),
        ("/\u00e4 b/../c?q=\u00e4", "/c?q=%C3%A4"),
        ("/a/./b/", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/../../a", "/a"),
        ("/a/%2e%2E/b/%2E", "/b/"),
        ("/a//b", "/a//b"),
        ("/a\\b", "/a/b"),
        ("/%20%zz", "/%20%zz"),
        ('/"<>`{}|^', "/%22%3C%3E%60%7B%7D|^"),
        ("/?\"<>'`{}?", "/?%22%3C%3E%27`{}?"),
        ("/a\tb\nc", "/abc"),
        ("/a  ", "/a"),
    ],
)
def test_request_target_is_normalised(rest, target):
    assert parse_webhook_url(f"http://h{rest}").target == target


@given(st.text(st.characters(codec=None)))
def test_any_text_is_either_refused_or_safe_to_send(rest):
    try:
        endpoint = parse_webhook_url(f"http://{rest}")
    except WebhookUrlError:
        return

    assert isinstance(endpoint, Endpoint)
    assert endpoint.target.startswith("/")
    assert all(0x21 <= ord(each) < 0x7F for each in endpoint.target + endpoint.host_header)
    assert 0 <= endpoint.port <= 0xFFFF
