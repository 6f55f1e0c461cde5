"""What people lay over their jobs' Pods, where the kubelet's doing matters.

Real: everything, in a namespace that admits restricted Pods only. All jobs run at once, in an image
that holds BusyBox alone.
"""

import base64
import contextlib
import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import foreign_images
from support.cluster.clusters import ROOT
from support.cluster.kube_api import KubeApi, pods_path

NAMESPACE = "pod-templates"
IMAGE = "localhost/foreign-busybox:1"
CREDENTIALS = {"USER_NAME": "etl", "FACTOTUM_JOB_UID": "of a Secret"}
LOOK = (
    "id -u; readlink /proc/self/cwd; cat /work/fetched;"
    " awk '$2 == \"/work\" {print $3}' /proc/mounts;"
    ' echo >/written; echo "url $URL"; echo "text $TEXT";'
    ' echo "ours $OURS"; env | awk -F= "{print \\$1}" | sort | tr "\\n" " "'
)
ENV = [
    {"name": "HOST", "value": "db"},
    {"name": "URL", "value": "db://$(USER_NAME)@$(HOST):$(KUBERNETES_SERVICE_PORT)"},
    {"name": "TEXT", "value": "$$(HOST) $(NOBODY) $x $"},
    {"name": "OURS", "value": "$(FACTOTUM_OPERATOR_URL) $(FACTOTUM_JOB_UID)"},
]
TEMPLATE = {
    "spec": {
        "securityContext": {"runAsUser": 1000},
        "containers": [
            {
                "name": "factotum",
                "env": ENV,
                "workingDir": "",
                "securityContext": {"readOnlyRootFilesystem": False},
            }
        ],
        "initContainers": [
            {
                "name": "fetch",
                "image": IMAGE,
                "command": ["sh", "-c", "echo fetched by an init container > /work/fetched"],
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            },
            {
                "name": "proxy",
                "image": IMAGE,
                "restartPolicy": "Always",
                # It ends when it is told to, as it should.
                "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
            },
        ],
        "volumes": [{"name": "work", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}],
    }
}
FAILING = {
    "spec": {
        "initContainers": [{"name": "check", "image": IMAGE, "command": ["sh", "-c", "exit 3"]}]
    }
}


@pytest.fixture(scope="module")
def ran(kubelet, tmp_path_factory):
    """The API, after the jobs were made."""
    busybox = next(i for i in foreign_images.all_of_them("") if i.name == "busybox")
    folder = tmp_path_factory.mktemp("images")
    # The node pulls nothing: the namesake of the example's image is made here.
    namesake = busybox.archive(folder, "docker.io/library/busybox:1.37")
    kubelet.load(str(busybox.archive(folder)), str(namesake))
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    metadata = {"name": NAMESPACE, "labels": labels}
    kubelet.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    data = {key: base64.b64encode(value.encode()).decode() for key, value in CREDENTIALS.items()}
    with contextlib.closing(KubeApi(kubelet.kubeconfig)) as api:
        api.wait_for(
            f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default", lambda _: True, "there"
        )
        secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        api.create(secrets, {"metadata": {"name": "creds"}, "data": data})
        look = make_factfile(make_task("look", command=LOOK, arguments=[]))
        api.create_job(
            make_job(
                NAMESPACE,
                look,
                name="look",
                image=IMAGE,
                envFrom=[{"secretRef": {"name": "creds"}}],
                resources={"limits": {"cpu": "1", "memory": "128Mi"}},
                podTemplate=TEMPLATE,
            )
        )
        api.create_job(make_job(NAMESPACE, name="fails", image=IMAGE, podTemplate=FAILING))
        example = str(ROOT / "examples" / "pod-template.yaml")
        kubelet.kubectl("apply", "-n", NAMESPACE, "-f", example)
        yield api
    kubelet.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def log_of(kubelet, job):
    """Read what the tasks said."""
    place = (job["status"]["claim"]["podName"], "-n", NAMESPACE)
    # The verdict may be here before the kubelet has told of the container's start.
    ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    kubelet.kubectl("wait", "pod", *place, ended, "--timeout=60s")
    return kubelet.kubectl("logs", *place, "-c", "factotum")


def test_the_example_runs(kubelet, ran, done):
    job = done(NAMESPACE, "pod-template")

    assert job["status"]["outcome"] == "SUCCEEDED"
    log = log_of(kubelet, job)
    assert "[greet] hello from team data" in log
    assert "[add up] 5050" in log


@pytest.fixture(scope="module")
def said(kubelet, ran, done):
    job = done(NAMESPACE, "look")
    assert job["status"]["outcome"] == "SUCCEEDED", job["status"]
    lines = log_of(kubelet, job).splitlines()
    return [line.removeprefix("[look] ") for line in lines if line.startswith("[look] ")]


def test_the_tasks_are_in_the_pod_that_was_asked_for(said):
    # The folder is root's; were the file system not to be written to, that would be said instead.
    refusal = "sh: can't create /written: Permission denied"
    assert refusal in said
    # What goes to the standard error may be told before or after.
    rest = [line for line in said if line != refusal]
    assert rest[:4] == ["1000", "/", "fetched by an init container", "tmpfs"]


def test_variables_refer_to_each_other_as_in_any_pod_and_find_none_of_ours(said):
    told = dict(line.split(" ", 1) for line in said if line.startswith(("url", "text", "ours")))

    assert told["url"] == "db://etl@db:443"
    assert told["text"] == "$(HOST) $(NOBODY) $x $"
    assert told["ours"] == "$(FACTOTUM_OPERATOR_URL) of a Secret"
    names = said[-1].split()
    assert [n for n in names if n.startswith("FACTOTUM")] == ["FACTOTUM_JOB_UID"]


def test_a_native_sidecar_ends_with_the_runner(ran, done):
    job = done(NAMESPACE, "look")
    path = pods_path(NAMESPACE, job["status"]["claim"]["podName"])
    began = time.monotonic()

    pod = ran.wait_for(path, lambda pod: pod["status"]["phase"] == "Succeeded", "ended")

    print(f"the Pod ended {time.monotonic() - began:.1f} s after its job was seen to be done")
    states = {c["name"]: c["state"] for c in pod["status"]["initContainerStatuses"]}
    assert "terminated" in states["proxy"]


def test_an_init_container_that_fails_is_told_with_its_exit_code(ran):
    job = ran.wait_for(
        f"/apis/factotum.snowplowanalytics.com/v1alpha1/namespaces/{NAMESPACE}/factotumjobs/fails",
        lambda job: (job.get("status") or {}).get("reason") == "Relaunching",
        "relaunched",
    )

    assert "init container check failed: Error, exit code 3" in job["status"]["message"]
    assert "claim" not in job["status"]
