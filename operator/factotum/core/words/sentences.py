"""The original's sentences that are said in more than one place: on the console and in a status.

What is put in comes quoted and coloured as the place wants it.
"""

from __future__ import annotations


def invalid_factfile(name: str, problem: object) -> str:
    """Say that a factfile cannot be used."""
    return f"'{name}' is not a valid factotum factfile: {problem}"


def invalid_start(task: str, problem: object) -> str:
    """Say that a run cannot start from a task."""
    return f"The job cannot be started from '{task}' because {problem}"


def invalid_webhook(url: str, problem: object) -> str:
    """Say that a webhook's address cannot be used."""
    return f'Error: the specifed webhook URL "{url}" is invalid. Reason: {problem}'


def host_not_matched(value: str | None, problem: object) -> str:
    """Say that a run was left out, being meant for another host."""
    return (
        f'Warn: the specifed host constraint "{value}" did not match,'
        f" no tasks have been executed. Reason: {problem}"
    )


def failed(tasks: str, not_run: str) -> str:
    """Say that a run ended with failed tasks."""
    return (
        f"Factotum job executed abnormally as a task ({tasks}) failed"
        f" - the following tasks were not run: {not_run}!"
    )


def finished_early(tasks: str, not_run: str) -> str:
    """Say that a run ended where tasks wanted it to."""
    return (
        f"Factotum job finished early as a task ({tasks}) requested an early finish."
        f" The following tasks were not run: {not_run}."
    )
