"""The job server as the chart installs it: by its image's own command, and ready.

Real: kubelet, containerd, images, chart.
"""

import pytest

from support.cluster.clusters import ROOT

NAME = "factotum-operator-gateway"
WORDS = ("--namespace", "factotum-system")


@pytest.fixture
def upgraded(kubelet):
    """Have the chart's release say something else for a while."""

    def upgrade(*values):
        chart = str(ROOT / "charts" / "factotum-operator")
        words = (word for value in values for word in ("--set", value))
        kubelet.run(
            *("helm", "upgrade", "factotum-operator", chart, *WORDS, "--reuse-values"),
            *(*words, "--wait", "--timeout", "120s"),
            timeout=150,
        )

    yield upgrade
    upgrade("gateway.enabled=false")


def test_its_pods_are_ready(kubelet, upgraded):
    upgraded("gateway.enabled=true", "gateway.replicas=1")

    deployment = kubelet.get("deployment", NAME, *WORDS)
    assert deployment["status"]["readyReplicas"] == 1
    log = kubelet.kubectl("logs", f"deployment/{NAME}", *WORDS)
    assert "listening on [0.0.0.0:3000]" in log
    assert "Traceback" not in log
