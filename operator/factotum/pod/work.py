"""``factotum work``: claim the job of this Pod, run it, and tell of it.

The run itself is that of ``factotum run``: the same engine, output and events.
Exit codes: 0 and 2 as there, 75 if nothing was run and another Pod may be.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from factotum.core import references, summary, tags
from factotum.core.errors import FactotumError
from factotum.core.execution import Execution
from factotum.core.factfile import Factfile
from factotum.core.states import ExitCode, RunState
from factotum.pod import claiming
from factotum.pod.controller_link import ControllerLink
from factotum.pod.progress import Progress
from factotum.pod.reporting import Reporter
from factotum.pod.surroundings import MissingVariableError, Surroundings
from factotum.pod.termination_log import TerminationLog
from factotum.runner.console import Console, wants_colour
from factotum.runner.runner import Runner
from factotum.runner.signals import ShutdownSignals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from factotum.core.execution import ExecutionListener
    from factotum.events.webhook import WebhookListener

EXIT_UNSTARTED: Final = 75
GRACE_SECONDS: Final = 20.0
"""What tasks get between TERM and KILL: the Pod's own grace less time to tell."""
_DEFAULT_STDOUTERR: Final = 10_000


def main(argv: Sequence[str]) -> int:
    """Run the Pod's job.

    Args:
        argv: what follows ``work``: nothing.
    """
    console = Console(colour=wants_colour(os.environ, no_colour=False, is_terminal=False))
    if argv:
        console.out("factotum work takes no arguments\n")
        console.flush()
        return ExitCode.OTHER
    signals = ShutdownSignals()
    signals.install()
    try:
        return _work(Surroundings.from_environ(os.environ), console, signals)
    except MissingVariableError as exc:
        console.out(f"{exc}\n")
        return ExitCode.OTHER
    finally:
        console.flush()


def _work(surroundings: Surroundings, console: Console, signals: ShutdownSignals) -> int:
    log = TerminationLog(surroundings.termination_log)
    link = ControllerLink(surroundings)

    def say(text: str) -> None:
        console.err(f"{text}\n")
        console.flush()

    try:
        work = claiming.claim(surroundings, link, is_stopped=lambda: signals.count > 0, say=say)
    except claiming.RefusedError as exc:
        say(f"Nothing to run: {exc}")
        return EXIT_UNSTARTED
    except claiming.GaveUpError as exc:
        # The claim may stand without our knowing. Not over another process's
        # word, though: that one may be running the job.
        if log.is_empty():
            log.write(claiming.unstarted_message(exc.claim_id))
        say(f"Nothing was run: {exc}")
        return EXIT_UNSTARTED
    try:
        return _Job(surroundings, work, console).run(link, log, signals)
    except FactotumError as exc:
        log.write(claiming.unstarted_message(work.claim_id))
        say(f"This runner cannot run what the operator accepted: {exc}")
        return EXIT_UNSTARTED


class _Job:
    """One claimed job and everything that takes part in running it."""

    def __init__(self, surroundings: Surroundings, work: claiming.Work, console: Console) -> None:
        self._surroundings = surroundings
        self._work = work
        self._console = console
        body = work.body
        self._tags: dict[str, str] = body.get("tags") or {}
        variables = (body.get("env") or {}) | tags.to_variables(self._tags)
        self._factfile = Factfile.parse(body["factfile"], variables)
        self._execution = Execution(
            self._factfile,
            body.get("start"),
            eager=body.get("scheduling") == "Eager",
            fail_interrupted=True,
        )
        self._run_reference = references.run_reference(references.uuid_text(os.urandom(16)))

    def run(self, link: ControllerLink, log: TerminationLog, signals: ShutdownSignals) -> int:
        """Run the job to its end and return the exit code."""
        progress = Progress(
            self._work.claim_id,
            self._work.body["factfileHash"],
            [run.name for run in self._execution.task_runs],
            (references.job_reference(self._factfile.compact, self._tags), self._run_reference),
        )
        stop: list[Runner] = []
        reporter = Reporter(self._surroundings, link, progress, log, lambda: stop[0].request_stop())
        webhook_settings: dict[str, Any] = self._work.body.get("webhook") or {}
        try:
            webhook = self._webhook(webhook_settings)
        except ValueError as exc:
            self._console.out(f"{exc}\n")
            progress.refuse(str(exc))
            log.write(progress.termination_message())
            reporter.finish(until_told=lambda: signals.count > 0)
            return ExitCode.OTHER
        listeners: list[ExecutionListener] = [reporter]
        if webhook is not None:
            listeners.append(webhook)
        runner = Runner(
            self._execution,
            output=self._console,
            environ=self._surroundings.task_environ,
            listeners=listeners,
            tail_characters=None
            if webhook is None
            else webhook_settings.get("maxStdouterrSize", _DEFAULT_STDOUTERR),
            heartbeat_seconds=webhook_settings.get("heartbeatIntervalSeconds")
            if webhook is not None
            else None,
            may_start=reporter.may_start,
            grace_seconds=GRACE_SECONDS,
        )
        stop.append(runner)
        reporter.start()
        signals.connect(runner.on_signal)
        runner.run()
        signals.connect(None)
        self._say_end()
        reporter.finish(until_told=lambda: signals.count > 0)
        if webhook is not None:
            self._drain(webhook, signals)
        succeeded = self._execution.state == RunState.SUCCEEDED
        return ExitCode.SUCCESS if succeeded else ExitCode.TASK_FAILED

    def _webhook(self, settings: dict[str, Any]) -> WebhookListener | None:
        """Prepare the user's webhook.

        Raises:
            ValueError: its URL cannot be used; the text is the original's.
        """
        url = self._surroundings.webhook_url or settings.get("url")
        if not url:
            return None
        from factotum.events import urls
        from factotum.events.webhook import WebhookListener

        try:
            endpoint = urls.parse_webhook_url(url)
        except urls.WebhookUrlError as exc:
            msg = f'Error: the specifed webhook URL "{url}" is invalid. Reason: {exc}'
            raise ValueError(msg) from exc
        return WebhookListener(
            endpoint,
            self._factfile,
            self._tags,
            self._run_reference,
            live_output=bool(settings.get("heartbeatIntervalSeconds")),
        )

    def _say_end(self) -> None:
        plain = str
        self._console.out(summary.summary(self._execution, plain, plain))
        self._console.flush()

    def _drain(self, webhook: WebhookListener, signals: ShutdownSignals) -> None:
        self._console.out("Waiting for webhook to finish sending events...")
        self._console.flush()
        signals.connect(webhook.abort)
        webhook.drain()
        signals.connect(None)
        self._console.out(" done!\n")
        if webhook.undelivered:
            self._console.out("Warning: some events failed to send\n")
