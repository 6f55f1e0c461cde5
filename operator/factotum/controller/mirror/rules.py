"""Which entry a key in Consul must hold: pure, the mirror does the rest.

Knows jobs as plain values and stored values as bytes. Must not know the
resource, the store, the clock or the event loop.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from factotum.persistence.entries import (
    Entry,
    EntryOutcome,
    EntryState,
    JobKey,
    JobRequest,
    StoredEntry,
    factfile_args,
    factfile_path,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorView:
    """What the mirror needs to know of one job.

    Attributes:
        created: its creationTimestamp, as it is written.
        completed: its completionTime, as it is written, once it is DONE.
        holds: it has a reservation, an open claim or a Pod that has not ended.
        ran: False for a job that ended without ever being Factotum's business
            (a rejected duplicate, a dry run, an invalid factfile): no entry.
        spec: the resource's spec: what the entry's arguments are made from.
        parked: it waits and does not want to run now: others of its key come first.
        job_name: what the entry calls it; empty: ``namespace/name``.
    """

    uid: str
    namespace: str
    name: str
    job_id: str
    state: str
    outcome: str
    created: str
    completed: str | None
    holds: bool
    ran: bool
    spec: Mapping[str, Any]
    parked: bool = False
    job_name: str = ""

    @property
    def key(self) -> JobKey:
        """What it shares an entry by."""
        return JobKey(self.namespace, self.job_id)

    @property
    def label(self) -> str:
        """What its entry calls it."""
        return self.job_name or f"{self.namespace}/{self.name}"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state == EntryState.DONE

    def entry(self, last_run_from: str) -> Entry:
        """Write it as Factotum Server would."""
        return Entry(
            state=EntryState(self.state),
            request=JobRequest(
                job_id=self.job_id,
                job_name=self.label,
                factfile_path=factfile_path(self.spec, self.namespace, self.name),
                factfile_args=factfile_args(self.spec),
            ),
            last_run_from=last_run_from,
            last_outcome=EntryOutcome(self.outcome),
        )


class Keep(NamedTuple):
    """The entry stays as it is."""


class Write(NamedTuple):
    """The entry must become this one."""

    entry: Entry


class Held(NamedTuple):
    """Another operator or server has the job queued or running: hands off, look again later."""

    last_run_from: str


class Close(NamedTuple):
    """Our unfinished entry has no job: to be closed once its absence is confirmed."""

    stored: StoredEntry


Verdict = Keep | Write | Held | Close

KEEP: Final = Keep()


def wanted(views: Iterable[MirrorView]) -> MirrorView | None:
    """Choose the job that a shared entry speaks of.

    The holder, else the oldest that waits to run, else one that is suspended or in back-off, else
    the one that completed last.
    A holder that is DONE, its Pod still ending, comes after one at work.
    """
    jobs = [view for view in views if view.ran and view.job_id]
    unfinished = [view for view in jobs if not view.done]
    working = [view for view in unfinished if view.holds or view.state == EntryState.WORKING]
    if working:
        return min(working, key=_age)
    finished = [view for view in jobs if view.done]
    ending = [view for view in finished if view.holds]
    if unfinished and not ending:
        return min(unfinished, key=lambda view: (view.parked, *_age(view)))
    return max(ending or finished, key=_completion, default=None)


def _age(view: MirrorView) -> tuple[str, str]:
    return view.created, view.uid


def _completion(view: MirrorView) -> tuple[str, str, str]:
    return view.completed or "", view.created, view.uid


def decide(
    job: MirrorView | None,
    stored_value: bytes,
    *,
    name: str,
    fresh: bool,
    is_known: Callable[[str], bool],
) -> Verdict:
    """Compare what a key holds with the job it must speak of.

    Args:
        job: the one chosen by ``wanted``.
        stored_value: what is stored; empty: nothing.
        name: our ``lastRunFrom``.
        fresh: the job's end was watched and is not recorded yet. A job that was
            found finished may have been followed by one that is known no more,
            here or on another server: it never replaces that one's result.
        is_known: whether a job of this key exists that its entry calls so.
    """
    stored = StoredEntry.parse(stored_value)
    ours = stored is not None and stored.last_run_from == name
    if stored is not None and not ours and stored.state is not EntryState.DONE:
        if job is None or (job.done and not fresh):
            return KEEP
        return Held(stored.last_run_from)
    if job is None:
        if stored is not None and ours and stored.state is not EntryState.DONE:
            return Close(stored)
        return KEEP
    if stored is not None and stored.state is EntryState.DONE and job.done and not fresh:
        followed = not ours or not is_known(stored.request.job_name)
        if followed:
            return KEEP
    entry = job.entry(name)
    return KEEP if entry.to_json() == stored_value else Write(entry)
