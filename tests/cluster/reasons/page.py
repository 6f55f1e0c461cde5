"""The table of all reasons, as it stands in the reference. Pure."""

from collections.abc import Iterable

from cluster.reasons.catalogue import CANNOT
from cluster.reasons.witness import QUESTIONS, Seen
from factotum.core.words.reasons import TABLE

BEGIN, END = "<!-- made by tests/cluster/reasons -->\n", "<!-- end of what is made -->\n"
HEAD = (
    "| reason | brought about by | state | outcome | Event | `kubectl wait` | kstatus |",
    "|---|---|---|---|---|---|---|",
)


def table_of(rows: Iterable[Seen]) -> str:
    """Write the table: our reasons in their order, then Kubernetes' own by name."""
    by_reason = {row.case.reason: row for row in rows}
    ours = [_row(by_reason[word]) if word in by_reason else _absent(word) for word in TABLE]
    others = [_row(row) for word, row in sorted(by_reason.items()) if word not in TABLE]
    return "".join(f"{line}\n" for line in (*HEAD, *ours, *others))


def _row(seen: Seen) -> str:
    told = [f"{event['type']}, {_times(event['count'])}" for event in seen.told]
    met = [word for word in QUESTIONS if word in seen.met]
    status = seen.status
    cells = (
        seen.case.reason,
        seen.case.how,
        status["state"],
        status["outcome"],
        "; ".join(told) or "none",
        ", ".join(met) or "waits",
        seen.kstatus,
    )
    return f"| {' | '.join(cells)} |"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _absent(reason: str) -> str:
    row = TABLE[reason]
    why = CANNOT.get(reason, "it failed")
    return f"| {reason} | cannot be: {why} | {row.state} | {row.outcome} | | | |"


def committed(page: str) -> str:
    """Take the table out of a page."""
    return page.partition(BEGIN)[2].partition(END)[0]
