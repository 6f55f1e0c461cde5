"""What the page says of jobs that wait for a box which is gone.

Real: chromium, two servers as processes, Consul with its sessions (whose end takes 20 s).
"""

import contextlib
import signal
import time

import pytest

from support.consul.process import ConsulProcess
from support.server.rest import Rest
from support.server.running import Server, factfile

pytestmark = [pytest.mark.browser, pytest.mark.consul]

EVIL = "<img src=x onerror=\"window.hacked='name'\">"


@pytest.mark.longer
def test_jobs_that_this_box_cannot_run_are_named_with_the_reason(zygote, browser, tmp_path):
    with contextlib.ExitStack() as stack:
        consul = stack.enter_context(ConsulProcess.fresh(tmp_path / "consul"))
        servers = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            options = (f"--consul-port={consul.port}", f"--consul-name={name}", "--max-workers=1")
            server = Server(zygote, tmp_path / name, *options, "--takeover-after=1")
            servers.append(stack.enter_context(server))
        one, two = servers
        gate = tmp_path / "gate"
        stack.callback(gate.touch)  # the runner outlives its box
        holding = one.write("holds", factfile(f"until test -e {gate}; do sleep 0.1; done;"))
        one.wait_for(one.submit(holding), "WORKING")
        gone = one.write("gone.factfile", factfile("true"))
        waiting = one.submit(gone, name=EVIL)
        gone.unlink()
        browser.driver.get("about:blank")
        browser.driver.get(f"http://127.0.0.1:{two.port}/ui")
        browser.wait_for(".live", "live")
        assert not browser.all(".stranded")[0].is_displayed()

        one.end(signal.SIGKILL)
        browser.wait_for(
            ".stranded summary", "1 job of a box that is gone waits for it", seconds=90
        )
        browser.click(".stranded summary")
        for part in (EVIL, waiting[:12], "there is no factfile", str(gone)):
            browser.wait_for(".stranded li", part)
        assert browser.barriers() == []
        state = Rest(two).read("/v1/server")
        assert (state["strandedTotal"], state["stranded"][0]["jobId"]) == (1, waiting)
        assert two.entry(waiting)["state"] == "QUEUED"  # as ever

        gone.write_text((one.folder / "holds").read_text().replace(str(gate), str(two.folder)))
        one.start()
        deadline = time.monotonic() + 60
        while Rest(two).read("/v1/server")["strandedTotal"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        browser.wait(lambda: not browser.all(".stranded")[0].is_displayed(), "nothing left to say")
        assert browser.run("return window.hacked") is None
        browser.driver.get("about:blank")
