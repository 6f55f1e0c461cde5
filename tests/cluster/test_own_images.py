"""Jobs that name an image of their own, as the API server takes them and the operator runs them.

Real: the API server with Pod Security `restricted`, the operator's process, a test node with the
real runner. That any image will do is shown on a real kubelet.
"""

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import jobs_path

pytestmark = pytest.mark.cluster

IMAGE = "registry.example/tools:7"


@pytest.fixture
def restricted(bench):
    """Have the namespace admit restricted Pods only."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    bench.api.patch(f"/api/v1/namespaces/{bench.namespace}", {"metadata": {"labels": labels}})


@pytest.mark.usefixtures("restricted")
@pytest.mark.parametrize(("setting", "is_mounted"), [("always", True), ("auto", False)])
def test_a_job_runs_in_its_image_where_only_restricted_pods_may(bench, setting, is_mounted):
    # These nodes tell no version of a runtime, so by `auto` nothing is mounted.
    with bench.operator(f"--image-volumes={setting}"), bench.nodes("fake-1"):
        bench.create(make_factfile(make_task("a")), image=IMAGE)
        status = bench.done()

    pod = bench.api.pods_of(bench.namespace, bench.uid())[0]["spec"]
    assert status["outcome"] == "SUCCEEDED"
    assert [c["image"] for c in pod["containers"]] == [IMAGE]
    assert ("initContainers" in pod) is not is_mounted
    mounted = [v["image"]["reference"] for v in pod["volumes"] if "image" in v]
    assert len(mounted) == is_mounted


def test_an_image_cannot_be_changed_once_the_job_is_made(bench):
    bench.api.create_job(make_job(bench.namespace, image=IMAGE))

    with pytest.raises(Exception, match="image cannot be changed"):
        bench.api.patch(jobs_path(bench.namespace, "job"), {"spec": {"image": "other:1"}})
