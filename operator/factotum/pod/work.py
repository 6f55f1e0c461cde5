"""``factotum work``: claim the job of this Pod, run it, and tell of it.

The run itself is that of ``factotum run``: the same engine, output and events.
Exit codes: 0 and 2 as there, 75 if nothing was run and another Pod may be.
"""

from __future__ import annotations

import os

from factotum.core.errors import FactotumError
from factotum.core.words.states import ExitCode
from factotum.pod import claiming
from factotum.pod.controller_link import ControllerLink
from factotum.pod.surroundings import MissingVariableError, Surroundings
from factotum.pod.termination_log import TerminationLog
from factotum.runner.console import LAST_WAIT_SECONDS, Console, wants_colour
from factotum.runner.signals import ShutdownSignals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the Pod's job.

    Args:
        argv: what follows ``work``: nothing.
    """
    console = Console(colour=wants_colour(os.environ, no_colour=False, is_terminal=False))
    if argv:
        console.out("factotum work takes no arguments\n")
        console.finish()
        return ExitCode.OTHER
    try:
        surroundings = Surroundings(os.environ)
    except MissingVariableError as exc:
        console.out(f"{exc}\n")
        console.finish()
        return ExitCode.OTHER
    return run(surroundings, console)


def run(surroundings: Surroundings, console: Console) -> int:
    """Claim a job, run it, and tell of it; return the exit code."""
    signals = ShutdownSignals()
    signals.install()
    try:
        return _work(surroundings, console, signals)
    finally:
        signals.connect(lambda: console.outlets.wait_at_most(LAST_WAIT_SECONDS))
        console.finish()


def _work(surroundings: Surroundings, console: Console, signals: ShutdownSignals) -> int:
    log = TerminationLog(surroundings.termination_log)
    link = ControllerLink(surroundings)

    def say(text: str) -> None:
        console.err(f"{text}\n")
        console.flush()

    try:
        work = claiming.claim(
            surroundings,
            link,
            is_stopped=lambda: signals.count > 0,
            say=say,
            meanwhile=_import_the_rest,
        )
    except claiming.RefusedError as exc:
        say(f"Nothing to run: {exc}")
        return claiming.EXIT_UNSTARTED
    except claiming.GaveUpError as exc:
        # The claim may stand without our knowing. Not over another process's
        # word, though: that one may be running the job.
        if log.is_empty():
            log.write(claiming.unstarted_message(exc.claim_id))
        say(f"Nothing was run: {exc}")
        return claiming.EXIT_UNSTARTED
    from factotum.pod.job import Job

    try:
        job = Job(surroundings, work, console)
    except FactotumError as exc:
        log.write(claiming.unstarted_message(work.claim_id))
        say(f"This runner cannot run what the operator accepted: {exc}")
        return claiming.EXIT_UNSTARTED
    # Outside of the try: once tasks may have started, no error says that none did.
    return job.run(link, log, signals)


def _import_the_rest() -> None:
    """Get ready for the run while the controller looks at the claim."""
