"""The manifest of a job's Pod. Pure.

The Pod holds nothing of the factfile: its runner claims the attempt and gets
everything in the answer, so the Pod may be lost and made again freely.

What people may say of it is laid over first, from all jobs' defaults to the
job's own template; what makes it a runner's Pod comes after that, so that
nothing that was laid over can change it.
"""

from collections.abc import Mapping
from typing import Any, Final

from factotum.controller.apply import injection
from factotum.controller.apply.placement import place
from factotum.controller.facts.observed import HostFact, Plan
from factotum.controller.pod_template import environment, merging, places
from factotum.controller.pod_template.judging import GRACE_SECONDS
from factotum.controller.settings import Settings
from factotum.core.wire import variables
from factotum.kube import names
from factotum.kube.resource import FactotumJob

USER_ID: Final = 65532
_TOKEN_SECONDS: Final = 3600


def build_runner_pod(
    job: FactotumJob,
    plan: Plan,
    host: HostFact,
    settings: Settings,
    authorities: str,
    *,
    mounts_image: bool = False,
) -> dict[str, Any]:
    """Build the Pod of the job's current attempt and launch.

    Args:
        authorities: certificates, PEM, of who vouches for us to the runner.
        mounts_image: the runner is mounted into an image of the job's own, not copied.
    """
    pod = _base()
    own = merging.shorthands(job.spec), job.spec.get("podTemplate") or {}
    for template in (*settings.runner_templates, *own):
        pod = merging.overlaid(pod, template)
    spec = pod["spec"]
    (container,) = spec["containers"]
    _make_runner(container, job, settings, authorities)
    spec["restartPolicy"] = "Never"
    spec["volumes"].append(_token(settings))
    if image := job.spec.get("image"):
        injection.inject(spec, image, settings, mounts_image=mounts_image)
    place(spec, host)
    deadline = job.spec.get("activeDeadlineSeconds")
    if deadline is not None:
        spec["activeDeadlineSeconds"] = deadline
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(pod["metadata"], job, plan),
        "spec": spec,
    }


def _base() -> dict[str, Any]:
    """Return what a Pod is made from, all of which may be changed within bounds."""
    container = {
        "name": names.RUNNER_CONTAINER,
        "workingDir": places.WORK_FOLDER,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": merging.STRICT,
        "volumeMounts": [
            {"name": "work", "mountPath": places.WORK_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the Pod
        ],
    }
    annotations = {
        # Moving the Pod would end the run, and a run is not repeated.
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }
    return {"metadata": {"annotations": annotations}, "spec": spec}


def _metadata(given: Mapping[str, Any], job: FactotumJob, plan: Plan) -> dict[str, Any]:
    labels = {
        names.LABEL_JOB_UID: job.uid,
        names.LABEL_JOB_NAME: names.label_value(job.name),
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_COMPONENT: names.COMPONENT_RUNNER,
    }
    annotations = {
        names.ANNOTATION_JOB_ID: plan.job_id,
        names.ANNOTATION_FACTFILE_HASH: plan.digest,
        names.ANNOTATION_ATTEMPT: str(job.attempt),
        names.ANNOTATION_LAUNCH: str(job.launch),
    }
    return {
        "name": names.pod_name(job.name, job.uid, job.attempt, job.launch),
        "namespace": job.namespace,
        "labels": given.get("labels", {}) | labels,
        "annotations": given.get("annotations", {}) | annotations,
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": job.name,
                "uid": job.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def _make_runner(
    container: dict[str, Any], job: FactotumJob, settings: Settings, authorities: str
) -> None:
    """Make the container run jobs, whatever else was said of it."""
    _hand_variables_on(container, _variables(job, settings, authorities))
    if not container.get("workingDir"):
        container.pop("workingDir", None)  # then the image's own counts
    if not job.spec.get("image"):
        container.setdefault("imagePullPolicy", settings.runner_image_pull_policy)
    container["image"] = settings.runner_image
    container["command"] = ["factotum", "work"]
    container["terminationMessagePath"] = variables.TERMINATION_PATH
    container["terminationMessagePolicy"] = "File"
    mount = {"name": places.TOKEN_VOLUME, "mountPath": places.TOKEN_FOLDER, "readOnly": True}
    container["volumeMounts"] = [*container["volumeMounts"], mount]


def _hand_variables_on(container: dict[str, Any], ours: list[dict[str, Any]]) -> None:
    """Have the runner get our variables, and the tasks everybody else's: none steers the runner."""
    given, sources = container.pop("env", []), container.pop("envFrom", [])
    has_sources = bool(sources)
    container["env"] = ours + environment.prefixed(given, has_sources=has_sources)
    if sources:
        container["envFrom"] = environment.prefixed_sources(sources)
    known = {entry["name"] for entry in given}
    container["volumeMounts"] = [
        mount | {"subPathExpr": environment.referring(path, known, has_sources=has_sources)}
        if (path := mount.get("subPathExpr"))
        else mount
        for mount in container["volumeMounts"]
    ]


def _variables(job: FactotumJob, settings: Settings, authorities: str) -> list[dict[str, Any]]:
    environment = {
        variables.OPERATOR_URL: settings.claims_url,
        variables.OPERATOR_CA: authorities,
        variables.JOB_UID: job.uid,
        variables.ATTEMPT: str(job.attempt),
        variables.LAUNCH: str(job.launch),
    }
    given: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in environment.items()
    ]
    # The kubelet reads the Secret, so the operator needs no right to.
    url_from = (job.spec.get("webhook") or {}).get("urlFrom")
    if url_from:
        given.append({"name": variables.WEBHOOK_URL, "valueFrom": url_from})
    return given


def _token(settings: Settings) -> dict[str, Any]:
    token = {
        "audience": settings.token_audience,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": places.TOKEN_NAME,
    }
    sources = [{"serviceAccountToken": token}]
    return {"name": places.TOKEN_VOLUME, "projected": {"sources": sources}}
