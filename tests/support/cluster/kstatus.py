"""What kstatus (Flux, kpt, Helm) says of an object of a kind it has no rules of its own for.

Its published rules, in this order: an object that is being deleted, one whose generation has not
been observed yet, the two standard conditions, then Ready, and without any of them all is well.
"""

from collections.abc import Mapping
from typing import Any


def kstatus(thing: Mapping[str, Any]) -> str:
    """Return Terminating, InProgress, Failed or Current."""
    metadata, status = thing["metadata"], thing.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    for condition in status.get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return {"Reconciling": "InProgress", "Stalled": "Failed"}[condition["type"]]
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] != "True":
            return "InProgress"
    return "Current"
