"""Every name we give to things in Kubernetes, once.

Group, version and kind of the resource; the keys of labels and annotations;
the name of a job's Pod and of the container in it.
"""

import hashlib
from typing import Final

GROUP: Final = "factotum.snowplowanalytics.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "FactotumJob"
PLURAL: Final = "factotumjobs"

LABEL_JOB_UID: Final = f"{GROUP}/job-uid"
"""UID of the FactotumJob a Pod belongs to: what the controller watches by."""
LABEL_JOB_NAME: Final = f"{GROUP}/job-name"
"""Name of the job, cut to a label's 63 characters: for people."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "factotum-operator"
COMPONENT_RUNNER: Final = "runner"

ANNOTATION_JOB_ID: Final = f"{GROUP}/job-id"
ANNOTATION_FACTFILE_HASH: Final = f"{GROUP}/factfile-hash"
"""Hash of the factfile that was accepted when the Pod was made."""
ANNOTATION_ATTEMPT: Final = f"{GROUP}/attempt"
ANNOTATION_LAUNCH: Final = f"{GROUP}/launch"
ANNOTATION_RESUME: Final = f"{GROUP}/resume"
"""On a FactotumJob: another value than the last one asks for another attempt of a failed job."""

LABEL_SUBMITTED_JOB_ID: Final = f"{GROUP}/submitted-job-id"
"""On what a job server made: its job id, cut to a label's 63 characters."""
ANNOTATION_SUBMISSION: Final = f"{GROUP}/submission"
"""On a FactotumJob that a job server made: what it was asked for, as JSON."""
ANNOTATION_SUBMITTED_NAME: Final = f"{GROUP}/submitted-name"
"""On a FactotumJob that a job server made: what its caller named it, for the entry in Consul."""
SERVER: Final = "factotum-server"
"""Who manages what a job server made."""

ANNOTATION_CLAIMS_ADDRESS: Final = f"{GROUP}/claims-address"
"""Where the leader's claims port is: on the operator's Lease, for its other replicas."""

RUNNER_CONTAINER: Final = "factotum"
INJECTING_CONTAINER: Final = "factotum-runner"
"""Brings the runner into an image of the job's own, before the other starts."""

_LABEL_LIMIT: Final = 63
_NAME_PART: Final = 40
_HASH_PART: Final = 8


def pod_name(job_name: str, job_uid: str, attempt: int, launch: int) -> str:
    """Name the Pod of one launch: the same for every controller that asks.

    The hash of the UID keeps a job's Pods apart from those of an earlier job
    of the same name, which may still be ending.
    """
    digest = hashlib.sha256(job_uid.encode()).hexdigest()[:_HASH_PART]
    return f"{job_name[:_NAME_PART].rstrip('-.')}-{attempt}-{launch}-{digest}"


def label_value(text: str) -> str:
    """Cut a name to what a label may hold."""
    return text[:_LABEL_LIMIT].rstrip("-._")
