"""The manifest of a job's Pod. Pure.

The Pod holds nothing of the factfile: its runner claims the attempt and gets
everything in the answer, so the Pod may be lost and made again freely.
"""

from typing import Any, Final

from factotum.controller.facts.nodes import HOSTNAME_LABEL
from factotum.controller.facts.observed import HostFact, OnNode, Plan
from factotum.controller.settings import Settings
from factotum.core.wire import variables
from factotum.kube import names
from factotum.kube.resource import FactotumJob

TOKEN_FOLDER, _, _TOKEN_NAME = variables.TOKEN_PATH.rpartition("/")
WORK_FOLDER: Final = "/work"
USER_ID: Final = 65532
GRACE_SECONDS: Final = 30
_TOKEN_SECONDS: Final = 3600


def build_runner_pod(
    job: FactotumJob, plan: Plan, host: HostFact, settings: Settings, authorities: str
) -> dict[str, Any]:
    """Build the Pod of the job's current attempt and launch.

    Args:
        authorities: certificates, PEM, of who vouches for us to the runner.
    """
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
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
        "containers": [_container(job, settings, authorities)],
        "volumes": [
            {"name": "work", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            {
                "name": "token",
                "projected": {
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "audience": settings.token_audience,
                                "expirationSeconds": _TOKEN_SECONDS,
                                "path": _TOKEN_NAME,
                            }
                        }
                    ]
                },
            },
        ],
    }
    spec |= _placement(host)
    deadline = job.spec.get("activeDeadlineSeconds")
    if deadline is not None:
        spec["activeDeadlineSeconds"] = deadline
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(job, plan),
        "spec": spec,
    }


def _metadata(job: FactotumJob, plan: Plan) -> dict[str, Any]:
    return {
        "name": names.pod_name(job.name, job.uid, job.attempt, job.launch),
        "namespace": job.namespace,
        "labels": {
            names.LABEL_JOB_UID: job.uid,
            names.LABEL_JOB_NAME: names.label_value(job.name),
            names.LABEL_MANAGED_BY: names.MANAGED_BY,
            names.LABEL_COMPONENT: names.COMPONENT_RUNNER,
        },
        "annotations": {
            names.ANNOTATION_JOB_ID: plan.job_id,
            names.ANNOTATION_FACTFILE_HASH: plan.digest,
            names.ANNOTATION_ATTEMPT: str(job.attempt),
            names.ANNOTATION_LAUNCH: str(job.launch),
            # Moving the Pod would end the run, and a run is not repeated.
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "karpenter.sh/do-not-disrupt": "true",
        },
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


def _container(job: FactotumJob, settings: Settings, authorities: str) -> dict[str, Any]:
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
    container: dict[str, Any] = {
        "name": names.RUNNER_CONTAINER,
        "image": settings.runner_image,
        "imagePullPolicy": settings.runner_image_pull_policy,
        "command": ["factotum", "work"],
        "workingDir": WORK_FOLDER,
        "env": given,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": variables.TERMINATION_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "work", "mountPath": WORK_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the Pod
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        ],
    }
    if job.spec.get("envFrom"):
        # For the tasks alone: no key of a Secret may steer the runner.
        container["envFrom"] = [
            source | {"prefix": variables.TASK_PREFIX + (source.get("prefix") or "")}
            for source in job.spec["envFrom"]
        ]
    return container


def _placement(host: HostFact) -> dict[str, Any]:
    if not isinstance(host, OnNode):
        return {}
    if host.label is not None:
        return {"nodeSelector": {HOSTNAME_LABEL: host.label}}
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [host.name]}]}
    return {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
            }
        }
    }
