"""The control-plane profile: comes up fast, says why when it cannot, and leaves nothing.

Real: the tool as a process and every program of the control plane. Left out: a cold cache
(minutes of compiling), which `make test` on a fresh machine goes through anyway.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster


def assert_nothing_is_left(tool):
    assert tool.processes() == []
    assert list(tool.clusters.glob("*")) == []
    assert list(tool.clusters.glob(".*")) == []


def test_up_makes_an_api_server_and_down_leaves_nothing(tool):
    tool.ok("up", "--name", "one")

    status = tool.ok("status")
    assert "one: up, profile control-plane" in status
    assert str(tool.state("one") / "log" / "audit.log") in status
    kubeconfig = tool.ok("kubeconfig", "--name", "one").strip()
    programs = tool.ok("bin").strip()
    version = subprocess.run(
        [f"{programs}/kubectl", f"--kubeconfig={kubeconfig}", "version", "-o", "yaml"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert version.count("gitVersion: v1.35.") == 2  # kubectl's and the server's

    assert tool.ok("down", "--name", "one") == "cluster 'one' is gone\n"
    assert_nothing_is_left(tool)


def test_down_of_what_is_not_there_is_no_error(tool):
    assert tool.ok("down", "--name", "nothing") == "cluster 'nothing' is not there\n"
    assert_nothing_is_left(tool)


@pytest.mark.longer
def test_up_again_changes_nothing(tool):
    tool.ok("up", "--name", "again")
    before = sorted(tool.processes())

    assert "is up already" in tool.ok("up", "--name", "again")

    assert sorted(tool.processes()) == before


@pytest.mark.longer
def test_clusters_that_start_at_once_live_side_by_side(tool):
    # Names that YAML would take for something else.
    starting = [tool.start("up", "--name", name) for name in ("no", "1")]
    for process in starting:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output

    tool.ok("down", "--name", "no")

    assert "1: up" in tool.ok("status")
    tool.ok("down", "--name", "1")
    assert_nothing_is_left(tool)


@pytest.mark.parametrize(
    "seconds", [1.0, *(pytest.param(n, marks=pytest.mark.longer) for n in (0.3, 2.0, 3.0))]
)
def test_a_tool_killed_on_the_way_up_leaves_nothing_after_down(tool, seconds):
    process = tool.start("up", "--name", "killed")
    time.sleep(seconds)
    process.kill()
    process.communicate()

    tool.ok("down", "--name", "killed")

    assert_nothing_is_left(tool)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_tool_interrupted_on_the_way_up_takes_everything_down_itself(tool, number):
    process = tool.start("up", "--name", "interrupted")
    while not tool.processes():
        time.sleep(0.05)

    process.send_signal(number)
    process.communicate(timeout=30)

    assert process.returncode == 128 + number
    assert_nothing_is_left(tool)


@pytest.mark.longer
def test_what_a_killed_cluster_left_does_not_stop_the_next_up(tool):
    tool.ok("up", "--name", "half")
    record = tool.ok("status")
    pid = int(record.split("kube-apiserver ")[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)

    assert "half: starting, or broken" in tool.ok("status")
    tool.ok("up", "--name", "half")

    assert "half: up" in tool.ok("status")


def test_a_program_that_does_not_start_is_named_with_its_last_words(tool, tmp_path):
    replace_program(tool, tmp_path, "kube-apiserver", "echo 'the disk is on fire'\nexit 3\n")

    code, output = tool.run("up", "--name", "broken")

    assert code == 1
    assert "kube-apiserver ended with code 3" in output
    assert "the disk is on fire" in output
    assert_nothing_is_left(tool)


@pytest.mark.longer
def test_a_program_that_gives_up_before_the_others_answer_is_started_again(tool, tmp_path):
    gives_up = f'[ -e {tmp_path}/asked ] && exec "$real" "$@"\ntouch {tmp_path}/asked\nexit 1\n'
    replace_program(tool, tmp_path, "kube-controller-manager", gives_up)

    tool.ok("up", "--name", "patient")

    assert "patient: up" in tool.ok("status")


def replace_program(tool, tmp_path, name, script):
    """Have a shell script run instead of one of the cluster's programs, whose path is $real."""
    programs = tmp_path / "cache" / "factotum-operator" / "bin"
    programs.mkdir(parents=True)
    for path in Path(tool.ok("bin").strip()).iterdir():
        if path.name.startswith(("etcd", "kube")):
            (programs / path.name).symlink_to(path)
    replaced = next(programs.glob(f"{name}-v*"))
    real = replaced.resolve()
    replaced.unlink()
    replaced.write_text(f"#!/bin/sh\nreal={real}\n{script}")
    replaced.chmod(0o755)
    tool.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")


def test_a_wrong_name_is_refused_before_anything_happens(tool):
    code, output = tool.run("up", "--name", "../../etc")

    assert code == 1
    assert "is no name for a cluster" in output
