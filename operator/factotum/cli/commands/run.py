"""`factotum run`: from the options to the exit code."""

from __future__ import annotations

import os

from factotum.cli import factfiles, logfile
from factotum.cli.problems import CommandError, exit_code_of
from factotum.core import errors
from factotum.core.factfile import environment, tags
from factotum.core.run import summary
from factotum.core.run.execution import Execution
from factotum.core.words import sentences
from factotum.core.words.states import ExitCode, RunState
from factotum.runner.console import LAST_WAIT_SECONDS, Console, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from factotum.cli.webhook import Webhook
    from factotum.core.commandline.arguments import Arguments
    from factotum.core.factfile.document import Factfile
    from factotum.core.run.results import KeptResult
    from factotum.events.urls import Endpoint
    from factotum.runner.signals import ShutdownSignals

DEFAULT_TAIL_CHARACTERS = 10_000

_UNTOLD = (
    "Error executing process - No such file or directory (os error 2)",
    "Error executing process - nul byte found in provided data",
)
"""Of these it is on record that the original keeps them from the console; scripts read that."""


def run(
    given: Arguments, console: Console, log: logfile.LogFile, signals: ShutdownSignals | None
) -> int:
    """Run a factfile, or simulate it.

    Raises:
        CommandError: Something keeps the run from beginning.
        EnvironmentFormatError: The variables cannot be read.
    """
    _check_numbers(given)
    pairs = tags.parse_pairs(given.values("--tag"))
    variables = environment.build_variables(given.value("--env"), pairs)
    endpoint = _check_webhook(given, console)
    if not _is_right_host(given, console):
        return ExitCode.SUCCESS
    try:
        factfile, _ = factfiles.load(given.operand, variables)
    except factfiles.FactfileProblem as problem:
        log.add(problem.for_log)
        raise CommandError(str(problem), ExitCode.BAD_FACTFILE) from None
    for executor in sorted({task.executor for task in factfile.tasks} - {"shell"}):
        log.add_warning(f"The executor '{executor}' is not known: its tasks run in the shell")
    name = factfile.document["data"]["name"]  # not rendered: see `LogFile`
    log.add(f"'{given.operand}' is job '{name}' with {len(factfile.tasks)} tasks")
    execution = _build_execution(given, console, factfile)
    if given.value("--output-format") == "json":
        console.out_fd = console.err_fd  # standard output is for the document alone
    else:
        console.carries_result = given.has("--dry-run")  # a job does more than print
    if given.has("--dry-run"):
        from factotum.cli.commands import dry_run

        dry_run.simulate(execution, console, log)
        _tell_result(given, console, execution)
        return ExitCode.SUCCESS
    webhook = None
    if endpoint is not None:
        from factotum.cli.webhook import Webhook

        webhook = Webhook(endpoint, factfile, pairs, given, log)
    _execute(given, console, log, signals, execution, webhook)
    _tell_result(given, console, execution)
    exit_code = _exit_code(execution)
    if not _save_verdict(given, console, execution):
        exit_code = exit_code or ExitCode.OTHER
    if webhook is not None:
        exit_code = webhook.wait(console, signals, exit_code)
    return exit_code


def _check_numbers(given: Arguments) -> None:
    for name in ("--heartbeat-interval", "--max-parallel", "--webhook-timeout"):
        if given.number(name) == 0:
            raise CommandError(f"The value of '{name}' must be at least 1.")
    text = given.value("--webhook-backoff")
    if text is not None:  # judged also where no webhook is
        from factotum.events.retries import RetryPolicy

        try:
            RetryPolicy.parse(text)
        except ValueError as error:
            raise CommandError(f"The value '{text}' of '--webhook-backoff' is {error}.") from None


def _check_webhook(given: Arguments, console: Console) -> Endpoint | None:
    url = given.value("--webhook")
    if url is None:
        return None
    if given.has("--dry-run"):
        raise CommandError(console.red("Error: --webhook cannot be used with the --dry-run option"))
    from factotum.events import urls

    try:
        return urls.parse_webhook_url(url)
    except urls.WebhookUrlError as error:
        # The misspelling is the original's, and scripts may look for it.
        raise CommandError(
            console.red(sentences.invalid_webhook(urls.conceal(url), error))
        ) from None


def _is_right_host(given: Arguments, console: Console) -> bool:
    value = tags.parse_pairs(given.values("--constraint")).get("host")
    if value is None:
        return True
    from factotum.runner import host

    reason = host.find_mismatch(value)
    if reason is None:
        return True
    console.out(console.yellow(sentences.host_not_matched(value, reason)) + "\n")
    return False


def _build_execution(given: Arguments, console: Console, factfile: Factfile) -> Execution:
    eager = given.value("--schedule") == "eager"
    kept: Mapping[str, KeptResult] = {}
    path = given.value("--resume")
    if path is not None:
        kept = _read_kept(path, factfile)
    try:
        return Execution(factfile, given.value("--start"), eager=eager, kept=kept)
    except errors.StartError as error:
        text = sentences.invalid_start(console.cyan(error.task), error)
        raise CommandError(text, exit_code_of(error)) from None


def _read_kept(path: str, factfile: Factfile) -> Mapping[str, KeptResult]:
    from factotum.core.run import saved_run

    try:
        with open(encode(path), encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs start-up
            return saved_run.parse_kept(file.read(), factfile)
    except OSError as error:
        reason = factfiles.describe(error)
    except (UnicodeDecodeError, ValueError) as error:
        reason = str(error)
    except errors.VerdictError as error:
        reason = str(error)
    raise CommandError(f"The run cannot be resumed from '{path}': {reason}")


def _execute(
    given: Arguments,
    console: Console,
    log: logfile.LogFile,
    signals: ShutdownSignals | None,
    execution: Execution,
    webhook: Webhook | None,
) -> None:
    from factotum.runner import inherited
    from factotum.runner.runner import Runner

    listeners = []
    view = None
    if given.has("--progress"):
        from factotum.cli.output.progress import ProgressView

        view = ProgressView.attach(console)
    if webhook is not None:
        listeners.append(webhook.listener)
    tail = given.number("--max-stdouterr-size")
    heartbeat = given.number("--heartbeat-interval")
    has_terminal = inherited.has_terminal()
    try:
        runner = Runner(
            execution,
            output=console if view is None else view.console,
            # As bytes: what is no text in this locale goes through as well.
            environ={**os.environb, b"CLICOLOR": b"0"} if given.has("--no-colour") else os.environb,
            listeners=listeners if view is None else [*listeners, view],
            max_parallel=given.number("--max-parallel"),
            tail_characters=(DEFAULT_TAIL_CHARACTERS if tail is None else tail)
            if webhook
            else None,
            heartbeat_seconds=heartbeat if webhook else None,
            log=log.add,
            # Who reads the terminal has to be in the group that may, and a shell stops that one.
            own_groups=not has_terminal,
            adopts=inherited.adopt_orphans() if has_terminal else inherited.is_first_process(),
            untold=() if os.isatty(console.err_fd) else _UNTOLD,
        )
    except OSError as error:
        raise CommandError(f"The run cannot begin: {factfiles.describe(error)}") from None
    if view is not None:
        view.follow(runner.loop, execution)
    if signals is not None:
        signals.connect(runner.on_signal)
    runner.run()
    if signals is not None:
        signals.connect(lambda: console.outlets.wait_at_most(LAST_WAIT_SECONDS), replay=False)


def _save_verdict(given: Arguments, console: Console, execution: Execution) -> bool:
    """Write the verdict if it is wanted; say whether all is well."""
    path = given.value("--verdict")
    if path is None:
        return True
    from factotum.cli.output.writing import CreateError, write_file
    from factotum.core.run import saved_run

    console.flush()  # the path may mean standard output
    try:
        write_file(path, encode(saved_run.render(execution)), console.outlets)
    except (CreateError, OSError) as problem:
        error = problem.error if isinstance(problem, CreateError) else problem
        reason = factfiles.describe(error)
        console.out(f"The verdict cannot be written to '{path}': {reason}\n")
        return False
    return True


def _tell_result(given: Arguments, console: Console, execution: Execution) -> None:
    console.out(summary.summary(execution, console.green, console.cyan))
    if given.value("--output-format") == "json":
        from factotum.cli.output.jsonoutput import print_json
        from factotum.core.run import saved_run

        print_json(console, saved_run.describe(execution))


def _exit_code(execution: Execution) -> int:
    # A shutdown that left tasks unrun is no success (Q13).
    if execution.state == RunState.SUCCEEDED:
        return ExitCode.SUCCESS
    return ExitCode.TASK_FAILED
