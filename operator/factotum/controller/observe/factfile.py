"""Reading a job's factfile and finding out whether it can run.

The same code as the runner's, so nothing that is accepted here is refused
there.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from factotum.controller.facts.observed import FactfileFact, Plan, Refused, Unreadable
from factotum.controller.observe.live import Live
from factotum.core.errors import FactfileError, StartError
from factotum.core.factfile import references, tags
from factotum.core.factfile.bounds import Bounds
from factotum.core.factfile.document import Factfile
from factotum.core.words import sentences
from factotum.core.words.reasons import Reason
from factotum.kube.paths import BadNameError
from factotum.kube.resource import FactotumJob


async def read(job: FactotumJob, live: Live) -> FactfileFact:
    """Read and check the factfile as it is now.

    Raises:
        KubeError: the API server did not say.
    """
    inline = job.spec.get("factfile")
    if inline is not None:
        return accept(job, json.dumps(inline, ensure_ascii=False, separators=(",", ":")), job.name)
    reference = job.spec["factfileFrom"]["configMapKeyRef"]
    name, key = reference["name"], reference["key"]
    try:
        config_map = await live.config_map(job.namespace, name)
    except BadNameError:
        message = f"factfileFrom.configMapKeyRef.name: no ConfigMap can be called {name!r:.100}"
        return Refused(reason=Reason.INVALID_FACTFILE, message=message)
    if config_map is None:
        return Unreadable(
            reason=Reason.FACTFILE_NOT_FOUND,
            message=f"there is no ConfigMap {name} in namespace {job.namespace}: create it",
        )
    text = _entry(config_map, key)
    if text is None:
        return Unreadable(
            reason=Reason.FACTFILE_NOT_FOUND,
            message=f"ConfigMap {name} has no key {key!r:.100}: add it",
        )
    return accept(job, text, key)


def _entry(config_map: Mapping[str, Any], key: str) -> str | None:
    text = (config_map.get("data") or {}).get(key)
    if text is None:
        encoded = (config_map.get("binaryData") or {}).get(key)
        if encoded is None:
            return None
        text = base64.b64decode(encoded).decode("utf-8", "replace")
    return str(text)


def accept(job: FactotumJob, text: str, label: str) -> Plan | Refused:
    """Check a factfile with the job's variables and start task."""
    try:
        factfile = Factfile.parse(text, job.env | tags.to_variables(job.tags), Bounds())
    except FactfileError as exc:
        message = sentences.invalid_factfile(label, exc)
        return Refused(reason=Reason.INVALID_FACTFILE, message=message)
    job_id = references.job_id(factfile.document, job.tags)
    start = job.spec.get("start")
    try:
        levels = factfile.dag.levels(start)
    except StartError as exc:
        message = sentences.invalid_start(str(start), exc)
        return Refused(reason=Reason.INVALID_START, message=message, job_id=job_id)
    return Plan(
        text=text,
        digest=references.content_hash(text),
        job_id=job_id,
        task_names=tuple(factfile.tasks[index].name for level in levels for index in level),
    )


def changed(plan: Plan, accepted: str) -> Refused:
    """Refuse content that is not what was accepted for this job."""
    return Refused(
        reason=Reason.FACTFILE_CHANGED,
        message=(
            f"the factfile is no longer the one that was accepted (it was {accepted[:12]}...,"
            f" now it is {plan.digest[:12]}...): make a new job for the new content"
        ),
        job_id=plan.job_id,
    )
