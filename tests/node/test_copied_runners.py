"""Jobs in images of their own where images cannot be mounted: the runner is copied into them.

Real: everything, in a namespace that admits restricted Pods only. The node could mount images;
the operator is told not to.
"""

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import foreign_images

LOOK = make_factfile(
    make_task("look", arguments=[], command=(
        "if echo >/factotum/launch; then echo changed it; fi 2>/dev/null;"
        " ls /factotum | tr '\\n' ' '; echo; exit 3"
    )),
)  # fmt: skip


@pytest.mark.longer
@pytest.mark.usefixtures("copying_operator")
def test_jobs_run_with_a_copy_that_their_tasks_cannot_change(
    kubelet, api, namespace, done, pod_log, tmp_path
):
    images = foreign_images.all_of_them("")
    kubelet.load(*(str(image.archive(tmp_path)) for image in images))
    for image in images:
        job = make_job(namespace, LOOK, name=image.name, image=image.tag, duplicatePolicy="Allow")
        api.create_job(job)

    for image in images:
        job = done(namespace, image.name)

        assert [t["returnCode"] for t in job["status"]["tasks"]] == [3]
        pod = kubelet.get("pod", job["status"]["claim"]["podName"], "-n", namespace)
        assert [c["name"] for c in pod["spec"]["initContainers"]] == ["factotum-runner"]
        assert "[look] app bin etc launch lib start.py " in pod_log(job)
        assert "changed it" not in pod_log(job)
