"""What is left when a run is over: Pods, entries in Consul, worker slots, the operator. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chaos.history import Found, History, Violation
from chaos.journal import Entry
from chaos.plan import Plan

MOST_MEBIBYTES = 200.0
"""What an operator may ever have had: no leak hides below it in a run of an hour."""


def left_on_purpose(journal: Iterable[Entry]) -> set[str]:
    """Give the jobs whose Pods somebody wanted to stay without them."""
    return {
        name
        for entry in journal
        if entry.kind == "Pod orphaned" or (entry.kind, entry.detail) == ("deletion", "Orphan")
        for name in entry.jobs
    }


def nothing_orphaned(history: History) -> Found:
    """Every Pod has ended, and has a job."""
    uids = {job["metadata"]["uid"] for job in history.jobs}
    on_purpose = left_on_purpose(history.journal)
    for pod in history.pods:
        name = pod["metadata"]["name"]
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            yield Violation("Pod alive", name, str(pod.get("status", {}).get("phase")))
        owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()}
        if not owners & uids and not any(name.startswith(f"{job}-") for job in on_purpose):
            yield Violation("Pod without job", name, "nobody left it on purpose")


def wrong_entries(
    plan: Plan, jobs: Sequence[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Any]]
) -> list[Violation]:
    """Compare Consul with the jobs that are left."""
    found = [
        Violation("wrong entry", job_id, f"it is {entry.get('state')}")
        for job_id, entry in entries.items()
        if entry.get("state") != "DONE"
    ]
    groups = {job.name: job.group for job in plan.jobs}
    sizes = Counter(job.group for job in plan.jobs)
    by_id: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for raw in jobs:
        status = raw.get("status") or {}
        if "jobId" not in status and "claim" not in status:
            continue  # cancelled before anybody had a look at it
        if raw["metadata"]["name"] in groups and status.get("state") == "DONE":
            by_id[str(status.get("jobId"))].append(raw)
    for job_id, of_id in by_id.items():
        name = of_id[0]["metadata"]["name"]
        entry = entries.get(job_id)
        if entry is None:
            found.append(Violation("wrong entry", name, "there is none"))
        elif len(of_id) == sizes[groups[name]]:  # with some deleted it may speak of those
            last = max(raw["status"].get("completionTime", "") for raw in of_id)
            outcomes = {
                (_label(raw["metadata"]), raw["status"]["outcome"])
                for raw in of_id
                if raw["status"].get("completionTime", "") == last
            }
            said = (entry.get("jobRequest", {}).get("jobName"), entry.get("lastOutcome"))
            if said not in outcomes:
                found.append(Violation("wrong entry", name, f"{said} instead of {outcomes}"))
    return found


def _label(metadata: Mapping[str, Any]) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"


def entries_right(history: History) -> Found:
    """Consul tells of every job what its status says, and of none that it is unfinished."""
    return wrong_entries(history.plan, history.jobs, history.entries)


def no_slot_lost(history: History) -> Found:
    """As many fresh jobs as there are workers run together, and no more."""
    fresh = history.fresh
    if fresh is None:
        return
    if fresh.together < fresh.wanted:
        yield Violation("slot lost", "workers", f"{fresh.together} of {fresh.wanted} jobs started")
    if fresh.beyond > 0:
        yield Violation("too many at once", "workers", f"{fresh.beyond} more than {fresh.wanted}")


def operator_is_well(history: History) -> Found:
    """The operator does not grow, does not end by itself, and meets no bug of its own."""
    if history.peak_mebibytes > MOST_MEBIBYTES:
        yield Violation("memory", "operator", f"{history.peak_mebibytes:.0f} MiB")
    for entry in history.journal:
        if entry.kind == "operator ended by itself":
            yield Violation("operator ended", "operator", entry.detail)
    start = history.log.find("Traceback (most recent call last)")
    if start >= 0:
        last = history.log[max(0, start - 300) : start + 2000]
        yield Violation("traceback", "operator", last)
