"""What our own runner says of a submission, found out without running it.

The same steps in the same order as ``factotum run FILE --dry-run ARGS``, and the
same words, made by the same modules.
"""

import os
from collections.abc import Sequence
from typing import Final

from factotum.core import errors
from factotum.core.commandline import arguments
from factotum.core.factfile import environment, tags
from factotum.core.factfile.bounds import Bounds
from factotum.core.factfile.document import Factfile
from factotum.core.words import sentences
from factotum.jobs.checking import getopts, identity
from factotum.jobs.errors import DryRunError, FactfileMissingError, UnreadableError
from factotum.jobs.views import JobRequest, RunOptions, Submission, Webhook

INLINE: Final = "inline"
"""Stands for the path of a factfile that came with the request."""
_DEFAULT_STDOUTERR: Final = 10_000


class _RefusalError(errors.FactotumError):
    """The runner would end with this on its standard output."""


def check(submission: Submission, appended: tuple[str, ...], program: str) -> JobRequest:
    """Check a submission; reads its factfile.

    Args:
        submission: what is asked for.
        appended: words that come behind its own, not checked.
        program: the runner as messages call it.

    Raises:
        SubmissionError: of the first check that fails.
    """
    path = submission.factfile_path or INLINE
    if submission.factfile is None and not identity.exists(path):
        raise FactfileMissingError(path)
    command = " ".join((program, "run", path, "--dry-run", *submission.args))
    if "\0" in command:
        raise DryRunError(command, "nul byte found in provided data", "")
    try:
        payload, names = _dry_run(submission, path)
    except errors.FactotumError as error:
        raise DryRunError(command, "", str(error)) from None
    job_tags = tags.parse_pairs(getopts.read_tags(submission.args))
    words = (*submission.args, *appended)
    return JobRequest(
        job_id=identity.job_id(payload, path, job_tags),
        name=submission.name,
        factfile=payload.decode(),
        factfile_path=path,
        args=words,
        # The server's come first here: behind a "--" they would be taken for files.
        options=_options((*appended, *submission.args)),
        task_names=names,
    )


def _dry_run(submission: Submission, path: str) -> tuple[bytes, tuple[str, ...]]:
    """Take the runner's steps; return the factfile's bytes, and its tasks in level order."""
    given = arguments.parse(["run", path, "--dry-run", *submission.args])
    if given.has("--help") or given.has("--version"):
        raise _RefusalError("Invalid arguments.")
    for name in ("--heartbeat-interval", "--max-parallel"):
        if given.number(name) == 0:
            raise _RefusalError(f"The value of '{name}' must be at least 1.")
    pairs = tags.parse_pairs(given.values("--tag"))
    variables = environment.build_variables(given.value("--env"), pairs)
    url = given.value("--webhook")
    if url is not None:
        raise _RefusalError("Error: --webhook cannot be used with the --dry-run option")
    payload = _payload(submission, path)
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        msg = f"Couldn't read '{path}': stream did not contain valid UTF-8"
        raise _RefusalError(msg) from None
    try:
        factfile = Factfile.parse(text, variables, Bounds())
    except errors.FactfileError as error:
        raise _RefusalError(sentences.invalid_factfile(path, error)) from None
    try:
        levels = factfile.dag.levels(given.value("--start"))
    except errors.StartError as error:
        raise _RefusalError(sentences.invalid_start(error.task, error)) from None
    return payload, tuple(factfile.tasks[index].name for level in levels for index in level)


def _payload(submission: Submission, path: str) -> bytes:
    if submission.factfile is not None:
        return submission.factfile.encode("utf-8", "surrogatepass")
    try:
        return identity.read(path)
    except UnreadableError as error:
        raise _RefusalError(str(error).replace("Could not", "Couldn't")) from None


def _options(words: Sequence[str]) -> RunOptions:
    given = arguments.parse(["run", os.devnull, *words])
    return RunOptions(
        start=given.value("--start"),
        env=environment.parse_variables(given.value("--env") or "{}"),
        tags=tags.parse_pairs(given.values("--tag")),
        constraints=tags.parse_pairs(given.values("--constraint")),
        webhook=_webhook(given),
        eager=given.value("--schedule") == "eager",
        max_parallel=given.number("--max-parallel"),
        no_colour=given.has("--no-colour"),
    )


def _webhook(given: arguments.Arguments) -> Webhook | None:
    url = given.value("--webhook")
    if url is None:
        return None
    size = given.number("--max-stdouterr-size")
    return Webhook(
        url=url,
        max_stdouterr_size=_DEFAULT_STDOUTERR if size is None else size,
        heartbeat_seconds=given.number("--heartbeat-interval"),
    )
