"""Fake nodes: how they are described, and that real clusters take them for alive.

Real: API server, controller manager, the tool's keeper.
"""

import json
import re
import subprocess

import pytest

from local_cluster import catalogue, fake_nodes
from local_cluster.errors import ClusterError


def test_a_number_gives_nodes_with_addresses_of_their_own():
    nodes = fake_nodes.from_argument("3")

    assert [node.name for node in nodes] == ["fake-1", "fake-2", "fake-3"]
    assert len({node.internal_ip for node in nodes} | {node.external_ip for node in nodes}) == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("{", "Expecting property name", id="no-json"),
        pytest.param('[{"name": "a", "colour": "red"}]', "colour", id="unknown-field"),
    ],
)
def test_a_file_that_does_not_describe_nodes_is_refused_with_the_fields_there_are(
    tmp_path, content, words
):
    file = tmp_path / "nodes.json"
    file.write_text(content)

    with pytest.raises(ClusterError, match=words) as caught:
        fake_nodes.from_argument(str(file))

    assert "internal_ip" in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(ClusterError, match=r"--fake-nodes /nowhere\.json"):
        fake_nodes.from_argument("/nowhere.json")


def test_taints_only_where_asked_for():
    node = fake_nodes.FakeNode(name="a")

    plain = fake_nodes.build_node(node, now="2026-01-01T00:00:00Z")
    tainted = fake_nodes.build_node(node, now="2026-01-01T00:00:00Z", tainted=True)

    assert plain["spec"]["taints"] == []
    assert tainted["spec"]["taints"] == [{"key": "type", "value": "fake", "effect": "NoSchedule"}]


def test_every_program_has_a_pinned_version():
    for program in catalogue.PROGRAMS.values():
        assert re.fullmatch(r"v\d+\.\d+\.\d+", program.version), program.name


def kubectl(tool, name, *words):
    config = tool.state(name) / "kubeconfig"
    program = tool.ok("bin").strip() + "/kubectl"
    return subprocess.run(
        [program, f"--kubeconfig={config}", *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.cluster
@pytest.mark.longer
def test_described_nodes_are_there_with_their_addresses_and_take_pods(tool, tmp_path):
    file = tmp_path / "nodes.json"
    file.write_text(
        json.dumps(
            [
                {"name": "alpha", "hostname": "alpha.example", "internal_ip": "192.0.2.10"},
                {"name": "beta", "external_ip": "192.0.2.11", "hostname_label": "b"},
                {"name": "gamma", "ready": False},
            ]
        )
    )

    tool.ok("up", "--name", "fakes", "--fake-nodes", str(file))

    nodes = json.loads(kubectl(tool, "fakes", "get", "nodes", "-o", "json"))["items"]
    addresses = {
        node["metadata"]["name"]: {a["type"]: a["address"] for a in node["status"]["addresses"]}
        for node in nodes
    }
    assert addresses == {
        "alpha": {"Hostname": "alpha.example", "InternalIP": "192.0.2.10"},
        "beta": {"Hostname": "beta", "ExternalIP": "192.0.2.11"},
        "gamma": {"Hostname": "gamma"},
    }
    labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in nodes}
    assert labels["beta"]["kubernetes.io/hostname"] == "b"
    leases = kubectl(tool, "fakes", "get", "leases", "-n", "kube-node-lease", "-o", "name")
    assert len(leases.split()) == 3
    kubectl(tool, "fakes", "run", "somewhere", "--image=any")
    scheduled = "--for=condition=PodScheduled"
    kubectl(tool, "fakes", "wait", "pod/somewhere", scheduled, "--timeout=20s")
