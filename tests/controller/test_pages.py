"""The ports of figures and health: what is answered, and to how many. Real: sockets and HTTP."""

import asyncio
import contextlib
import http.client
import time

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from factotum.controller.health import STARTING, Health
from factotum.controller.metrics import pages as pages_module
from factotum.controller.metrics.pages import Page, Pages, figures_page, health_pages
from support.consul.process import free_ports


@contextlib.asynccontextmanager
async def served(pages, **options):
    """Serve pages; yield what asks for one in a thread of its own, and the port."""
    (port,) = free_ports(1)
    server = Pages(pages, host="127.0.0.1", port=port, **options)
    await server.start()

    def request(method, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    async def ask(path, method="GET"):
        return await asyncio.to_thread(request, method, path)

    try:
        yield ask, port
    finally:
        await server.stop()


async def test_figures_are_given_in_prometheus_text_format():
    registry = CollectorRegistry()
    Gauge("some_number", "Some number.", registry=registry).set(7)
    async with served({"/metrics": figures_page(registry)}) as (ask, _):
        status, text, headers = await ask("/metrics")

    (family,) = text_string_to_metric_families(text)
    assert (status, family.name, family.samples[0].value) == (200, "some_number", 7)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["Connection"] == "close"


async def test_a_flood_of_questions_makes_the_text_once_a_second(monkeypatch):
    asked = []
    registry = CollectorRegistry()
    gauge = Gauge("some_number", "Some number.", registry=registry)
    gauge.set_function(lambda: asked.append(1) or len(asked))
    monkeypatch.setattr(pages_module, "_KEPT_SECONDS", 60.0)
    async with served({"/metrics": figures_page(registry)}) as (ask, _):
        texts = {(await ask("/metrics"))[1] for _ in range(20)}

    assert len(texts) == len(asked) == 1


async def test_health_says_what_is_wrong():
    health, wrong = Health(), []
    health.watch(lambda: wrong[0] if wrong else None)
    async with served(health_pages(health)) as (ask, _):
        starting = [(await ask(path))[:2] for path in ("/healthz", "/readyz")]
        health.started()
        well = [(await ask(path))[:2] for path in ("/healthz", "/readyz")]
        wrong.append("the sweep has ended")
        ill = [(await ask(path))[:2] for path in ("/healthz", "/readyz")]

    assert starting == [(200, "ok\n"), (503, f"{STARTING}\n")]
    assert well == [(200, "ok\n")] * 2
    assert ill == [(503, "the sweep has ended\n")] * 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/../healthz", 404), ("POST", "/healthz", 405)],
)
async def test_there_is_nothing_else(method, path, status):
    async with served(health_pages(Health())) as (ask, _):
        assert (await ask(path, method))[0] == status


async def test_who_connects_and_says_nothing_keeps_nobody_out():
    async with served({"/healthz": lambda: Page(200, b"ok")}, seconds=30) as (ask, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        answered = [await ask("/healthz") for _ in range(5)]
        out = [reader.at_eof() for reader, _ in silent]
        for _, writer in silent:
            writer.close()

    assert [status for status, *_ in answered] == [200] * 5
    assert out.count(True) >= 200 - 32


async def test_a_connection_ends_after_some_seconds_whatever_it_does():
    async with served({"/healthz": lambda: Page(200, b"ok")}, seconds=0.3) as (_, port):
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                while not reader.at_eof():
                    writer.write(b"G")
                    await writer.drain()
                    await asyncio.sleep(0.05)
        writer.close()

    assert time.monotonic() - began < 3


async def test_an_answer_holds_nothing_of_the_question():
    async with served(health_pages(Health())) as (ask, _):
        _, text, headers = await ask("/healthz?secret-word")
        _, missing, _ = await ask("/secret-word")

    assert "secret-word" not in text + missing + str(headers)


async def test_bytes_that_are_no_http_fill_no_log(caplog):
    async with served(health_pages(Health())) as (ask, port):
        for garbage in (b"\x16\x03\x01" + b"x" * 5000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(garbage)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 5)
            writer.close()
        assert (await ask("/healthz"))[0] == 200

    assert caplog.messages == []


async def test_a_page_that_cannot_be_made_is_told_in_the_log_and_to_whoever_asks(caplog):
    def broken():
        raise ValueError("some secret")

    async with served({"/metrics": broken}) as (ask, _):
        status, text, _ = await ask("/metrics")

    assert (status, text) == (500, "it cannot be told\n")
    assert caplog.messages == ["a page cannot be made"]
