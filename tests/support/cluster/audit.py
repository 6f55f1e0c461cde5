"""What an operator asked the API server for, by that one's own audit log."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from support.cluster.operator_process import AUDIT_USER, Installation


class Request(NamedTuple):
    """What the API server was asked, and how it answered.

    Attributes:
        resource: with its subresource; empty for what is no object, such as a list of API groups.
        name: of the object, where it has one yet.
    """

    verb: str
    path: str
    code: int
    group: str = ""
    resource: str = ""
    name: str | None = None


class Audit:
    """The requests of operators since it was made."""

    def __init__(self, installation: Installation) -> None:
        self._log = installation.audit_log
        self._offset = self._log.stat().st_size

    def requests(self) -> Iterator[Request]:
        """Give every request that has ended, in order."""
        with self._log.open() as file:
            file.seek(self._offset)
            for line in file:
                event = json.loads(line) if line.endswith("\n") else {"stage": "being written"}
                if event["stage"] != "ResponseComplete" or event["user"]["username"] != AUDIT_USER:
                    continue
                target = event.get("objectRef") or {}
                parts = (target.get("resource"), target.get("subresource"))
                yield Request(
                    event["verb"],
                    event["requestURI"],
                    event.get("responseStatus", {}).get("code", 0),
                    target.get("apiGroup", ""),
                    "/".join(filter(None, parts)),
                    target.get("name"),
                )
