"""What a Pod tells the controller of its run: a compact snapshot.

One character a task in level order, so that both sides agree on names through
the factfile and a report stays small. No task output in it, ever. Both sides
use this module; the controller trusts nothing in a report it did not check.
"""

from __future__ import annotations

from factotum.core.errors import FactotumError
from factotum.core.jsontext import quote
from factotum.core.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

STATE_LETTERS = {
    "WAITING": "W",
    "RUNNING": "R",
    "SUCCEEDED": "S",
    "SUCCEEDED_NO_OP": "N",
    "FAILED": "F",
    "SKIPPED": "K",
}
STATE_WORDS = {letter: word for word, letter in STATE_LETTERS.items()}
UNFINISHED = "WRF"
"""Letters that a successful run has none of."""

KEPT = "SN"
"""Letters of results that another attempt need not repeat."""

MAX_BYTES = 256 * 1024
_REFERENCE_LENGTH = 64
_MOST = 2**53
"""Beyond it JSON's numbers are not exact."""
_MAX_DIGITS = 9
_INT32 = 2**31
_LAST_MOMENT = 253_402_300_799_999
"""The last millisecond of the year 9999."""


class ReportError(FactotumError, ValueError):
    """A report that says nothing usable; the text names the field."""


class Report(Value):
    """A snapshot of one run; tasks are in level order.

    Attributes:
        claim_id: of the runner process that made it.
        sequence: counts the process's reports from 1.
        final: no task will change any more.
        interrupted: how many tasks were ended by a shutdown.
        states: one of STATE_LETTERS' letters a task.
        codes: return codes of the tasks that have one.
        started: start times, milliseconds since the epoch.
        seconds: durations of the tasks that have ended.
        errors: error texts and skip reasons, by task.
        job_reference: the original's job reference.
        run_reference: the original's run reference.
    """

    __slots__ = (
        "claim_id",
        "codes",
        "errors",
        "final",
        "interrupted",
        "job_reference",
        "run_reference",
        "seconds",
        "sequence",
        "started",
        "states",
    )

    def __init__(  # noqa: PLR0913 - its attributes
        self,
        *,
        claim_id: str,
        sequence: int,
        final: bool,
        interrupted: int,
        states: str,
        codes: Mapping[int, int],
        started: Mapping[int, int],
        seconds: Mapping[int, float],
        errors: Mapping[int, str],
        job_reference: str,
        run_reference: str,
    ) -> None:
        self.claim_id = claim_id
        self.sequence = sequence
        self.final = final
        self.interrupted = interrupted
        self.states = states
        self.codes = codes
        self.started = started
        self.seconds = seconds
        self.errors = errors
        self.job_reference = job_reference
        self.run_reference = run_reference

    @property
    def succeeded(self) -> bool:
        """Whether this is the verdict of a run that truly succeeded."""
        return self.final and not self.interrupted and not any(c in self.states for c in UNFINISHED)

    def to_json(self) -> bytes:
        """Encode for the wire, in at most MAX_BYTES.

        Of a run too large for that, what matters least goes first: start
        times, durations, codes of 0, texts. States and failures always fit.
        """
        encoded = _encode(self)
        if len(encoded) > MAX_BYTES:
            encoded = _encode(self.replace(started={}, seconds={}))
        if len(encoded) > MAX_BYTES:
            bad_codes = {task: code for task, code in self.codes.items() if code}
            small = self.replace(started={}, seconds={}, codes=bad_codes, errors={})
            encoded = _encode(small)
        return encoded

    @classmethod
    def from_json(cls, payload: bytes) -> Report:
        """Decode and check a report.

        Raises:
            ReportError: it is not a report, whatever it is.
        """
        import json  # only the controller reads reports

        try:
            raw = json.loads(payload)
        except (ValueError, RecursionError) as exc:
            msg = f"the report is not JSON: {exc}"
            raise ReportError(msg) from exc
        if not isinstance(raw, dict):
            msg = "the report is not an object"
            raise ReportError(msg)
        states = _field(raw, "states", str)
        if set(states) - set(STATE_WORDS):
            msg = "states: holds letters that are no task state"
            raise ReportError(msg)
        total = len(states)
        return cls(
            claim_id=_field(raw, "claim", str),
            sequence=_count(raw, "sequence"),
            final=_field(raw, "final", bool),
            interrupted=_count(raw, "interrupted"),
            states=states,
            codes=_numbers(raw, "codes", total, -_INT32, _INT32 - 1),
            started=_numbers(raw, "started", total, 0, _LAST_MOMENT),
            seconds=_numbers(raw, "seconds", total, 0, _MOST, kinds=(int, float)),
            errors=_texts(raw, "errors", total),
            job_reference=_whole(_field(raw, "jobReference", str)[:_REFERENCE_LENGTH]),
            run_reference=_whole(_field(raw, "runReference", str)[:_REFERENCE_LENGTH]),
        )


def _encode(report: Report) -> bytes:
    # By hand: what the json package costs to import, each job's start would pay.
    def numbers(values: Mapping[int, float]) -> str:
        return ",".join(f'"{task}":{value}' for task, value in values.items())

    errors = ",".join(f'"{task}":{quote(text)}' for task, text in report.errors.items())
    text = (
        f'{{"claim":{quote(report.claim_id)},"sequence":{report.sequence}'
        f',"final":{"true" if report.final else "false"},"interrupted":{report.interrupted}'
        f',"states":"{report.states}","codes":{{{numbers(report.codes)}}}'
        f',"started":{{{numbers(report.started)}}},"seconds":{{{numbers(report.seconds)}}}'
        f',"errors":{{{errors}}},"jobReference":{quote(report.job_reference)}'
        f',"runReference":{quote(report.run_reference)}}}'
    )
    return text.encode("utf-8", "replace")


def _field(raw: Mapping[str, Any], name: str, kind: type) -> Any:
    value = raw.get(name)
    # bool is an int to isinstance, and a count of True is no count.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        msg = f"{name}: expected {kind.__name__}"
        raise ReportError(msg)
    return value


def _count(raw: Mapping[str, Any], name: str) -> int:
    value: int = _field(raw, name, int)
    if not 0 <= value <= _MOST:
        msg = f"{name}: expected a count"
        raise ReportError(msg)
    return value


def _numbers(
    raw: Mapping[str, Any],
    name: str,
    total: int,
    least: int,
    most: int,
    *,
    kinds: tuple[type, ...] = (int,),
) -> dict[int, Any]:
    """Return numbers by task; what the status's schema refuses would stop the job there."""
    numbers = dict(_by_task(raw, name, kinds, total))
    for task, number in numbers.items():
        # NaN is in no range.
        if not least <= number <= most:
            msg = f"{name}: the value of task {task} is out of range"
            raise ReportError(msg)
    return numbers


def _texts(raw: Mapping[str, Any], name: str, total: int) -> dict[int, str]:
    return {task: _whole(text) for task, text in _by_task(raw, name, (str,), total)}


def _whole(text: str) -> str:
    """Return a text that can be sent on: JSON can hold half a surrogate, which no UTF-8 can."""
    return text.encode("utf-8", "replace").decode()


def _by_task(
    raw: Mapping[str, Any], name: str, kinds: tuple[type, ...], total: int
) -> Iterator[tuple[int, Any]]:
    for key, value in _field(raw, name, dict).items():
        number = key.isascii() and key.isdigit() and len(key) <= _MAX_DIGITS
        if not number or int(key) >= total:
            msg = f"{name}: {key!r:.20} is no task"
            raise ReportError(msg)
        if not isinstance(value, kinds) or isinstance(value, bool):
            msg = f"{name}: the value of task {key} is of the wrong type"
            raise ReportError(msg)
        yield int(key), value
