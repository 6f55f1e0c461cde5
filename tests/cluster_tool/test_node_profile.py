"""The node profile: Pods run, log, reach each other and the host; afterwards nothing is left.

Real: containerd, kubelet, kube-proxy, CoreDNS; a static program of the tests' own in an image made
by the tool's own archive builder. Needs root and the packages of `cluster deps`; one per machine.
"""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local_cluster import folders, golang, pause_image

pytestmark = [pytest.mark.cluster, pytest.mark.node, pytest.mark.longer]

TOOLBOX = Path(__file__).parent / "toolbox"
IMAGE = "localhost/toolbox:1"


@pytest.fixture(scope="module")
def toolbox_archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toolbox")
    command = [golang.find((1, 25)), "build", "-o", folder / "toolbox", "."]
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    subprocess.run(command, cwd=TOOLBOX, check=True, env=environment)
    archive = folder / "toolbox.tar"
    archive.write_bytes(pause_image.build_archive((folder / "toolbox").read_bytes(), IMAGE))
    return archive


def pod(name, *words, **spec):
    container = {"name": "main", "image": IMAGE, "command": ["/pause", *words]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **spec,
        },
    }


def service(name):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-service"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


class Kubectl:
    def __init__(self, tool, name):
        kubeconfig = tool.ok("kubeconfig", "--name", name).strip()
        self._command = [tool.ok("bin").strip() + "/kubectl", f"--kubeconfig={kubeconfig}"]

    def __call__(self, *words, manifest=None):
        done = subprocess.run(
            [*self._command, *words],
            input=manifest and json.dumps(manifest),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def create(self, manifest):
        self("create", "-f", "-", manifest=manifest)

    def output_of(self, name, *words):
        """Run a Pod to its good end and give its log."""
        self.create(pod(name, *words))
        self("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
        return self("logs", name)


def host_page():
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the host")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Page)
    threading.Thread(target=server.serve_forever).start()
    return server


def traces():
    """Everything on the machine that a node could have left behind."""

    def said(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return {
        "rules": [
            line
            for family in ("iptables-save", "ip6tables-save")
            for line in said(family).splitlines()
            if "KUBE-" in line or "CNI-" in line
        ],
        "links": [line.split(":")[1].strip() for line in said("ip", "-o", "link").splitlines()],
        "mounts": Path("/proc/mounts").read_text().splitlines(),
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob("**/factotum-node")],
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "folders": [
            path
            for path in (folders.NODE_RUN, folders.NODE_DISK, folders.NODE_OWNER)
            if path.exists()
        ],
        "network namespaces": sorted(str(path) for path in Path("/run/netns").glob("*")),
    }


def test_pods_run_log_and_talk_and_down_leaves_nothing(tool, toolbox_archive):
    before = traces()
    tool.ok("up", "--name", "n", "--profile", "node", "--fake-nodes", "2")
    tool.ok("load", "--name", "n", str(toolbox_archive))
    kubectl = Kubectl(tool, "n")

    # Log and termination message, on the real node although fake ones are there.
    assert kubectl.output_of("speaker", "say", "hello") == "hello\n"
    spoken = json.loads(kubectl("get", "pod", "speaker", "-o", "json"))
    assert spoken["spec"]["nodeName"] == "node-1"
    ended = spoken["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "hello")

    # exec; Pod to Pod by Service and its name; Pod to a process of the host.
    kubectl.create(pod("server", "serve", "from a Pod"))
    kubectl.create(service("server"))
    kubectl("wait", "pod/server", "--for=condition=Ready", "--timeout=30s")
    assert kubectl("exec", "server", "--", "/pause", "say", "inside") == "inside\n"
    url = "http://server-service.default.svc.cluster.local/"
    assert kubectl.output_of("client", "get", url) == "from a Pod"
    node = json.loads(kubectl("get", "node", "node-1", "-o", "json"))
    address = node["status"]["addresses"][0]["address"]
    host = host_page()
    try:
        url = f"http://{address}:{host.server_port}/"
        assert kubectl.output_of("outward", "get", url) == "from the host"
    finally:
        host.shutdown()
        host.server_close()

    # A second node would share bridge, iptables and cgroup with the first.
    code, output = tool.run("up", "--name", "second", "--profile", "node")
    assert code == 1
    assert "cluster 'n' has it" in output

    # With Pods still running.
    tool.ok("down", "--name", "n")
    assert tool.processes() == []
    assert traces() == before


@pytest.mark.parametrize("seconds", [1.0, 3.0, 4.5])
def test_a_node_whose_tool_was_killed_goes_without_a_trace(tool, seconds):
    before = traces()
    process = tool.start("up", "--name", "killed", "--profile", "node")
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()

    tool.ok("down", "--name", "killed")

    assert tool.processes() == []
    assert traces() == before
