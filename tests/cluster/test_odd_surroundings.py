"""An operator whose process finds other surroundings than its image gives it.

Real: the API server with our chart, the operators' processes, a proxy that lets everything through
and notes where it leads, a full disk (a small tmpfs, which needs root).
"""

import contextlib
import socket
import threading
import time
from datetime import datetime

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.scraping import page
from support.disks import small_disk

pytestmark = pytest.mark.cluster

CLAIM = "c" * 32
LARGE = "x" * 2000


class Tunnels:
    """A proxy of the kind that HTTPS_PROXY names: opens a line to wherever it is told."""

    def __init__(self):
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        with contextlib.suppress(OSError, ValueError), line:
            head = b""
            while b"\r\n\r\n" not in head:
                head += line.recv(4096)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.asked.append(target)
            if method != "CONNECT":
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                line.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
                back = threading.Thread(target=carry, args=(there, line), daemon=True)
                back.start()
                carry(line, there)
                back.join()


def carry(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_no_home_an_old_locale_an_odd_time_zone_and_proxies_change_nothing(bench):
    with Tunnels() as proxy:
        words = ["-u", "HOME", "LANG=C", "LC_ALL=C", "TZ=Pacific/Chatham", "PYTHONUTF8=0"]
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        words += [f"{name}={proxy.url}" for name in names]
        options = {"prefix": ("env", *words)}
        with bench.operator(**options) as first:
            second = bench.operator(name="other", claims_url=first.url, **options)
            second.start()
            try:
                second.wait_ready(leading=False)
                task = make_task("täsk", command="echo")
                uid = bench.create_by_hand(make_factfile(task), tags={"größe": "日本"})
                pod = bench.pod_side(second, uid)
                assert pod.claim(CLAIM)[0] == 200
                assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
            finally:
                second.kill()
            status = bench.done()
            logs = first.log.read_text() + second.log.read_text()
            ports = {each.claims[1] for each in (first, second)}

    assert (status["outcome"], status["tasks"][0]["name"]) == ("SUCCEEDED", "täsk")
    ended = datetime.fromisoformat(status["completionTime"]).timestamp()
    assert abs(time.time() - ended) < 300
    # The API server may lie behind a proxy; the other replica never does.
    assert proxy.asked
    assert {int(target.rpartition(":")[2]) for target in proxy.asked}.isdisjoint(ports)
    assert "Traceback" not in logs


@pytest.fixture
def disk(bench):
    """The folder of an operator's log and of its temporary files, and no larger than those."""
    with small_disk(bench.folder / "operator", 256 * 1024) as folder:
        yield folder


def test_an_operator_whose_disk_is_full_goes_on_without_its_log(bench, disk):
    with bench.operator(prefix=("env", f"TMPDIR={disk}")) as operator:
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        assert operator.has_ended() is False
        for name in ("one", "two"):
            factfile = make_factfile(make_task(name, arguments=[LARGE]))
            pod = bench.pod_side(operator, bench.create_by_hand(factfile, name=name))
            assert pod.claim(CLAIM)[0] == 200
            assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
            assert bench.done(name)["outcome"] == "SUCCEEDED"
        assert page(operator.health, "/healthz") == (200, "ok\n")
        (disk / "filler").unlink()
        bench.create_by_hand(make_factfile(make_task("three")), name="three")
        told = f"job {bench.namespace}/three: "
        deadline = time.monotonic() + 30
        while told not in operator.log.read_text(errors="replace"):
            assert time.monotonic() < deadline, "nothing more is told"
            time.sleep(0.2)
        assert operator.stop() == 0
