"""Whether what the operator said is the truth, by what the tasks wrote down themselves. Pure."""

from collections.abc import Callable, Sequence

from chaos import remains, runs, sayings
from chaos.history import Found, History, Violation

CHECKS: Sequence[Callable[[History], Found]] = (
    runs.started_once,
    runs.never_together,
    runs.in_order,
    runs.nothing_left_running,
    sayings.all_ended,
    sayings.verdicts_stay,
    sayings.as_expected,
    sayings.success_is_true,
    sayings.failure_is_told,
    sayings.kept_what_succeeded,
    remains.nothing_orphaned,
    remains.entries_right,
    remains.no_slot_lost,
    remains.operator_is_well,
)


def judge(history: History) -> list[Violation]:
    """Find everything that must not be."""
    return [violation for check in CHECKS for violation in check(history)]
