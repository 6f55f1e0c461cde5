"""The webhook of a run on the command line: its settings, and the wait for it at the end."""

from __future__ import annotations

import os

from factotum.core.factfile.references import run_reference, uuid_text
from factotum.core.words.states import ExitCode
from factotum.events.retries import RetryPolicy
from factotum.events.webhook import WebhookListener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from factotum.cli.logfile import LogFile
    from factotum.core.commandline.arguments import Arguments
    from factotum.core.factfile.document import Factfile
    from factotum.events.urls import Endpoint
    from factotum.runner.console import Console
    from factotum.runner.signals import ShutdownSignals


class Webhook:
    """Makes the listener from the options and waits for it when the run has ended."""

    def __init__(
        self,
        endpoint: Endpoint,
        factfile: Factfile,
        tags: Mapping[str, str],
        given: Arguments,
        log: LogFile,
    ) -> None:
        self._log = log
        self.listener = WebhookListener(
            endpoint,
            factfile,
            tags,
            run_reference(uuid_text(os.urandom(16))),
            policy=_build_policy(given),
            live_output=given.has("--heartbeat-interval"),
            warn=log.add_warning,
        )

    def wait(self, console: Console, signals: ShutdownSignals | None, exit_code: int) -> int:
        """Wait until all events are sent or given up; a second signal gives up at once (Q22)."""
        listener = self.listener

        def on_signal() -> None:
            if signals is not None and signals.count > 1:
                listener.abort()
            else:
                console.out("\nReceived shutdown signal, terminating gracefully...\n")
                console.flush()

        console.out("Waiting for webhook to finish sending events...")
        console.flush()
        before = signals.count if signals is not None else 0
        if signals is not None:
            signals.connect(on_signal, replay=False)
        try:
            listener.drain()
        finally:
            if signals is not None:
                signals.connect(None)
        console.out(console.green(" done!") + "\n")
        if listener.undelivered:
            self._log.add_warning(
                f"{listener.undelivered} of {listener.produced} events were not delivered"
            )
            console.out(console.red("Warning: some events failed to send") + "\n")
        was_broken_off = signals is not None and signals.count > max(before, 1)
        return exit_code or (ExitCode.OTHER if was_broken_off else ExitCode.SUCCESS)


def _build_policy(given: Arguments) -> RetryPolicy:
    text = given.value("--webhook-backoff")
    policy = RetryPolicy() if text is None else RetryPolicy.parse(text)
    timeout = given.number("--webhook-timeout")
    if timeout is not None:
        policy.timeout = float(timeout)
    policy.expect_long_tries()
    return policy
