"""What the tasks wrote down, by itself: what must hold whatever any status says. Pure."""

import itertools
from collections import defaultdict
from collections.abc import Iterable

from chaos.history import Found, History, Violation
from chaos.recording import Fact, Line


def _starts(lines: Iterable[Line]) -> dict[tuple[str, int], list[Line]]:
    found = defaultdict(list)
    for line in lines:
        if line.fact is Fact.STARTED:
            found[line.job, line.attempt].append(line)
    return found


def started_once(history: History) -> Found:
    """An attempt's tasks start at most once, all of them in one Pod."""
    for (job, attempt), starts in _starts(history.lines).items():
        tasks = [line.task for line in starts]
        for task in sorted({task for task in tasks if tasks.count(task) > 1}):
            yield Violation("started twice", job, f"attempt {attempt}, task {task}")
        pods = {line.pod for line in starts}
        if len(pods) > 1:
            yield Violation("several Pods ran", job, f"attempt {attempt}: {sorted(pods)}")


def never_together(history: History) -> Found:
    """Two Pods of one job id never run together: no two jobs, no two attempts."""
    spans: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    groups: dict[str, str] = {}
    for line in history.lines:
        if line.fact is Fact.STARTED:
            groups[line.pod] = line.detail
        if line.fact is Fact.OVERLAPPED:
            yield Violation("together", line.pod, f"while {line.detail} lives")
            continue
        span = spans[groups.get(line.pod, "")]
        first, _ = span.get(line.pod, (line.moment, 0.0))
        span[line.pod] = (first, line.moment)
    for span in spans.values():
        in_order = sorted((first, last, pod) for pod, (first, last) in span.items())
        for (_, last, pod), (first, _, other) in itertools.pairwise(in_order):
            if first < last:
                yield Violation("together", other, f"began {last - first:.3f} s before {pod} ended")


def in_order(history: History) -> Found:
    """A task starts after those that it depends on have succeeded, in this attempt or before."""
    after = {(job.name, task.name): task.after for job in history.plan.jobs for task in job.tasks}
    good: set[tuple[str, str]] = set()
    for line in history.lines:
        if line.fact is Fact.ENDED and line.detail == "0":
            good.add((line.job, line.task))
        if line.fact is Fact.STARTED:
            for before in after.get((line.job, line.task), ()):
                if (line.job, before) not in good:
                    yield Violation("out of order", line.job, f"{line.task} before {before}")


def nothing_left_running(history: History) -> Found:
    """No task outlives the run."""
    for each in history.still_running:
        yield Violation("still running", each, "its process is there")
