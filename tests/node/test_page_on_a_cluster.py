"""The page where all tasks of a run print into one log: a Pod's, which goes with the Pod.

Real: kubelet, containerd, images, chart, the job server as a process, chromium.
"""

import json

import pytest

from support.browser import Browser
from support.consul.process import free_ports
from support.server.rest import Rest
from support.server.running import factfile

pytestmark = pytest.mark.browser

SHOWN = """
const around = document.querySelector(".pane").getBoundingClientRect();
return [...document.querySelectorAll(".line.own")].filter((line) => {
  const {top, bottom} = line.getBoundingClientRect();
  return around.top <= top && bottom <= around.bottom;
}).map((line) => line.querySelector(".text").textContent);
"""


class OnCluster:
    """A job server of this machine for a namespace of the cluster; whoever asks is served."""

    def __init__(self, zygote, folder, kubelet, namespace):
        self.port, self.folder = free_ports(1)[0], folder
        options = ["--backend=kubernetes", f"--namespace={namespace}", "--no-authentication"]
        self._process = zygote.fork(
            [*options, f"--port={self.port}"],
            folder,
            "factotum server",
            KUBECONFIG=str(kubelet.kubeconfig),
        )

    def __enter__(self):
        self._process.wait_until_listening(self.port)
        return self

    def __exit__(self, *_):
        self._process.end()


@pytest.fixture
def failed(zygote, kubelet, namespace, tmp_path):
    """A job whose failed task says little, between two others that print a lot."""
    document = factfile(
        "seq -f 'row %.0f' 1 2000",
        "printf 'one\\ntwo\\ntrouble\\n'; exit 3",
        "sleep 2; seq -f 'late row %.0f' 1 5000",
        name="In one log",
    )
    for task in document["data"]["tasks"][1:]:
        task["dependsOn"] = ["task 0"]
    with OnCluster(zygote, tmp_path, kubelet, namespace) as server:
        rest = Rest(server)
        made = json.loads(rest.post("/v1/jobs", {"factfile": document}).body)
        yield rest, rest.wait(made["key"], seconds=90)["job"]


@pytest.mark.longer
def test_a_failed_task_is_shown_in_the_log_of_its_run_until_that_is_gone(
    zygote, kubelet, namespace, failed, tmp_path
):
    rest, job = failed
    with Browser(f"http://127.0.0.1:{rest.server.port}") as browser:
        browser.open(f"/ui#/jobs/{job['key']}")
        browser.wait_for(".log h2", "Log of the run")
        browser.wait_for(".log-note", "Lines of “task 1” begin with [task 1]")
        browser.wait(lambda: "[task 1] trouble" in browser.run(SHOWN), "its last words in view")
        # Both streams of a container come by ways of their own, so the last one may be elsewhere.
        own = browser.run(
            "return [...document.querySelectorAll('.line.own .text')].map((l) => l.textContent)"
        )
        assert [line for line in own if line.startswith("[task 1] ")] == [
            "[task 1] one",
            "[task 1] two",
            "[task 1] trouble",
        ]
        assert all(line.startswith("Task 'task 1'") for line in own if line[0] != "[")
        assert "late row 5000" not in browser.text(".lines")

        # Another task of the same log; a link to a line of it; the whole run.
        browser.click(".tasks td.name a", "task 2")
        browser.wait(
            lambda: "[task 2] late row 5000" in browser.run(SHOWN), "the other's last words"
        )
        number = browser.run(
            "return [...document.querySelectorAll('.line')].find((line) =>"
            " line.textContent.includes('late row 4990')).number"
        )
        browser.open(f"/ui#/jobs/{job['key']}?task=2&line={number}")
        browser.wait_for(".line.marked", "[task 2] late row 4990")
        browser.click(".log button", "Whole run")
        browser.wait(lambda: not browser.all(".line.own"), "nobody's lines marked")
        assert not browser.all(".log-note")[0].is_displayed()
        browser.wait_for(".log-state", "end")
        assert browser.broken() == []

        pods = kubelet.get("pods", "-n", namespace)["items"]
        (pod,) = [each["metadata"]["name"] for each in pods]
        kubelet.kubectl("delete", "pod", pod, "-n", namespace)
        (tmp_path / "another").mkdir()
        with OnCluster(zygote, tmp_path / "another", kubelet, namespace) as another:
            gone = f"Pod {pod} is gone, and what it printed with it."
            browser.driver.get(f"http://127.0.0.1:{another.port}/ui#/jobs/{job['key']}")
            browser.wait_for(".log-state", gone)
            browser.wait_for(".log-note", "[task 1]")
            assert browser.broken() == []
            answer = Rest(another).get(f"/v1/jobs/{job['key']}/log")
            assert (answer.status, answer.body) == (200, b"")
            assert answer.headers["factotum-log-missing"] == gone
            assert Rest(another).read(f"/v1/jobs/{job['key']}/log/lines")["missing"] == gone
