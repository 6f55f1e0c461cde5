"""One claimed job: the runner, who listens to it, and how its end is told."""

from __future__ import annotations

import os

from factotum.core.factfile import references, tags
from factotum.core.factfile.document import Factfile
from factotum.core.run import summary
from factotum.core.run.execution import Execution
from factotum.core.words import sentences
from factotum.core.words.states import ExitCode, RunState
from factotum.pod.claiming import EXIT_UNSTARTED, unstarted_message
from factotum.pod.progress import Progress
from factotum.pod.reporting import Reporter
from factotum.runner import inherited
from factotum.runner.runner import Runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from factotum.core.run.execution import ExecutionListener
    from factotum.core.run.results import KeptResult
    from factotum.events.webhook import WebhookListener
    from factotum.pod.claiming import Work
    from factotum.pod.controller_link import ControllerLink
    from factotum.pod.surroundings import Surroundings
    from factotum.pod.termination_log import TerminationLog
    from factotum.runner.console import Console
    from factotum.runner.signals import ShutdownSignals

GRACE_SECONDS = 20.0
"""What tasks get between TERM and KILL: the Pod's own grace less time to tell."""
_DEFAULT_STDOUTERR = 10_000


class Job:
    """One claimed job and everything that takes part in running it."""

    def __init__(self, surroundings: Surroundings, work: Work, console: Console) -> None:
        self._surroundings = surroundings
        self._work = work
        self._console = console
        order = work.order
        self._tags = order.tags
        variables = {**order.env, **tags.to_variables(self._tags)}
        self._factfile = Factfile.parse(order.factfile, variables)
        self._execution = Execution(
            self._factfile,
            order.start,
            eager=order.is_eager,
            fail_interrupted=True,
            kept=None if order.kept is None else _results(self._factfile, order.start, order.kept),
        )
        self._run_reference = references.run_reference(references.uuid_text(os.urandom(16)))

    def run(self, link: ControllerLink, log: TerminationLog, signals: ShutdownSignals) -> int:
        """Run the job to its end and return the exit code."""
        progress = Progress(
            self._work.claim_id,
            self._work.order.factfile_hash,
            [run.name for run in self._execution.task_runs],
            (references.job_reference(self._factfile.compact, self._tags), self._run_reference),
        )
        if self._work.order.kept is not None:
            progress.take_over(self._execution.task_runs)
        stop: list[Runner] = []
        reporter = Reporter(self._surroundings, link, progress, log, lambda: stop[0].request_stop())
        try:
            webhook = self._webhook(self._work.order.webhook or {})
        except ValueError as exc:
            self._console.out(f"{exc}\n")
            progress.refuse(str(exc))
            log.write(progress.termination_message())
            reporter.finish(until_told=lambda: self._must_tell(signals))
            return ExitCode.OTHER
        self._keep_output(webhook is not None)
        runner = self._runner(reporter, webhook)
        stop.append(runner)
        if signals.count:
            return self._give_back(log)
        reporter.start()
        signals.connect(runner.on_signal)
        runner.run()
        signals.connect(None)
        self._say_end()
        if progress.is_untouched:
            return self._give_back(log)
        reporter.finish(until_told=lambda: self._must_tell(signals))
        if webhook is not None:
            self._drain(webhook, signals)
        succeeded = self._execution.state == RunState.SUCCEEDED
        return ExitCode.SUCCESS if succeeded else ExitCode.TASK_FAILED

    def _must_tell(self, signals: ShutdownSignals) -> bool:
        """Whether what is not told now is lost: a Pod that is deleted takes its files along."""
        return signals.count > 0 and not self._surroundings.is_local

    def _runner(self, reporter: Reporter, webhook: WebhookListener | None) -> Runner:
        listeners: list[ExecutionListener] = [reporter]
        settings: Mapping[str, Any] = {}
        if webhook is not None:
            listeners.append(webhook)
            settings = self._work.order.webhook or {}
        return Runner(
            self._execution,
            output=self._console,
            environ=self._surroundings.task_environ,
            listeners=listeners,
            max_parallel=self._work.order.max_parallel,
            tail_characters=None
            if webhook is None
            else settings.get("maxStdouterrSize", _DEFAULT_STDOUTERR),
            heartbeat_seconds=settings.get("heartbeatIntervalSeconds"),
            may_start=reporter.may_start,
            grace_seconds=GRACE_SECONDS,
            own_groups=not inherited.has_terminal(),
            # On a machine that others use, too, only what our tasks leave behind is ours.
            adopts=inherited.adopt_orphans()
            if self._surroundings.is_local
            else inherited.is_first_process(),
        )

    def _keep_output(self, is_told: bool) -> None:  # noqa: FBT001 - a plain fact
        """Have each task's output kept in files of its own, where that is wanted."""
        if not self._surroundings.log_folder:
            return
        from factotum.pod.task_logs import keep_output

        characters = (self._work.order.webhook or {}).get("maxStdouterrSize", _DEFAULT_STDOUTERR)
        keep_output(self._execution, self._surroundings, characters if is_told else None)

    def _give_back(self, log: TerminationLog) -> int:
        """Release the claim: nothing was run, so another Pod may run it."""
        log.write(unstarted_message(self._work.claim_id))
        self._console.err("Nothing was run: told to stop before the first task\n")
        return EXIT_UNSTARTED

    def _webhook(self, settings: Mapping[str, Any]) -> WebhookListener | None:
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
            # It goes into the job's status: one that came from a Secret is not told at all.
            shown = "***" if self._surroundings.webhook_url else urls.conceal(url)
            raise ValueError(sentences.invalid_webhook(shown, exc)) from exc
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
        # Another signal ends it; one that ended the run leaves the events their time.
        signals.connect(webhook.abort, replay=False)
        webhook.drain()
        signals.connect(None)
        self._console.out(" done!\n")
        if webhook.undelivered:
            self._console.out("Warning: some events failed to send\n")


def _results(
    factfile: Factfile, start: str | None, kept: Mapping[str, Any]
) -> dict[str, KeptResult]:
    """Read the results that this attempt takes over from an earlier one, by task."""
    from factotum.core.run.results import KeptResult
    from factotum.core.wire import reports

    results = {}
    indices = [index for level in factfile.dag.levels(start) for index in level]
    for number, (letter, index) in enumerate(zip(kept["states"], indices, strict=False)):
        if letter not in reports.KEPT:
            continue
        task, key = factfile.tasks[index], str(number)
        state = reports.STATE_WORDS[letter]
        good = task.continue_codes if letter == "S" else task.terminate_codes
        started, seconds = kept["started"].get(key), kept["seconds"].get(key)
        results[task.name] = KeptResult(
            # Of a very large job the codes were not kept: some good one it was.
            kept["codes"].get(key, min(good) if good and 0 not in good else 0),
            None if started is None else int(started) * 1_000_000,
            None if seconds is None else int(seconds * 1e9),
            state=state,
        )
    return results
