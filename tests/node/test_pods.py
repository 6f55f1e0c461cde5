"""The Pod that a job runs in, as a task sees it, and its progress as a user sees it.

Real: kubelet, containerd, images, chart.
"""

import os
import subprocess
import threading

import pytest

from support.builders.manifests import make_factfile, make_job, make_task

LOOK = """
id -u; pwd; echo "home $HOME"
touch /somewhere 2>/dev/null && echo 'root is writable' || echo 'root is read-only'
touch here /tmp/there && echo 'work and tmp are writable'
ls /var/run/secrets/kubernetes.io 2>/dev/null && echo 'has a token' || echo 'no token of the API'
env | grep -c _SERVICE_HOST
"""


def test_a_task_finds_itself_restricted_and_with_room_to_work(kubelet, done, pod_log, namespace):
    look = make_task("look", command=LOOK.strip().replace("\n", "; "), arguments=[])
    kubelet.apply(make_job(namespace, make_factfile(look)))

    log = pod_log(done(namespace))

    said = [line.removeprefix("[look] ") for line in log.splitlines() if line.startswith("[look] ")]
    assert said[:3] == ["65532", "/work", "home /work"]
    assert "root is read-only" in said
    assert "work and tmp are writable" in said
    assert "no token of the API" in said


@pytest.mark.parametrize("deployment", ["factotum-operator", "factotum-operator-consul"])
def test_what_the_chart_installs_is_nobody_and_can_change_nothing(kubelet, deployment):
    look = "id -u; id -g; touch /usr/x /x 2>/dev/null || echo root is read-only; cat /proc/1/status"

    words = ("exec", "-n", "factotum-system", f"deployment/{deployment}", "--", "sh", "-c", look)
    said = kubelet.kubectl(*words).splitlines()

    status = dict(line.split(":\t", 1) for line in said[3:] if ":\t" in line)
    assert said[:3] == ["65532", "65532", "root is read-only"]
    assert status["Uid"].split() == ["65532"] * 4
    assert set(status["CapEff"] + status["CapBnd"]) == {"0"}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_the_operators_namespace_may_be_restricted(kubelet):
    level = "pod-security.kubernetes.io/enforce=restricted"

    # What runs there and would not be admitted is a warning.
    words = ("label", "namespace", "factotum-system", level, "--overwrite", "--dry-run=server")
    kubelet.kubectl(*words, "--warnings-as-errors")


def test_progress_moves_while_it_runs(kubelet, done, namespace):
    steps = [make_task(f"step-{n}", *([f"step-{n - 1}"] if n else []), command="sleep 2; echo")
             for n in range(4)]  # fmt: skip
    seen: list[str] = []
    watch = ("get", "fj", "-n", namespace, "--watch")
    columns = ("-o", "jsonpath={.status.state} {.status.progress}{'\\n'}")
    with subprocess.Popen(
        [str(kubelet.programs / "kubectl"), *watch, *columns],
        env=os.environ | {"KUBECONFIG": str(kubelet.kubeconfig)},
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        reader = threading.Thread(target=lambda: seen.extend(watching.stdout or ()))
        reader.start()
        kubelet.apply(make_job(namespace, make_factfile(*steps)))
        done(namespace)
        watching.terminate()
        reader.join()

    progress = list(dict.fromkeys(line.strip() for line in seen if "WORKING" in line))
    print("progress:", progress)
    assert progress == sorted(progress)
    assert len(progress) >= 3
