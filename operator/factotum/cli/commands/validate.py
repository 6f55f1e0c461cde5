"""`factotum validate`: says whether a factfile can be run."""

from __future__ import annotations

from factotum.cli import factfiles
from factotum.core import errors
from factotum.core.factfile import environment, tags
from factotum.core.words.states import ExitCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.cli.logfile import LogFile
    from factotum.core.commandline.arguments import Arguments
    from factotum.runner.console import Console


def validate(given: Arguments, console: Console, log: LogFile) -> int:
    """Check the factfile, with an empty environment unless one is given."""
    pairs = tags.parse_pairs(given.values("--tag"))
    variables = environment.build_variables(given.value("--env"), pairs)
    as_json = given.value("--output-format") == "json"
    console.carries_result = as_json  # else the exit code says it all
    path = given.operand
    try:
        factfiles.load(path, variables)
    except factfiles.FactfileProblem as problem:
        log.add(problem.for_log)
        if as_json:
            _print_json(console, path, problem)
        else:
            console.out(console.red(str(problem)) + "\n")
        return ExitCode.BAD_FACTFILE
    if as_json:
        _print_json(console, path, None)
    else:
        console.out(console.green(f"'{path}' is a valid Factfile!") + "\n")
    return ExitCode.SUCCESS


def _print_json(console: Console, path: str, problem: factfiles.FactfileProblem | None) -> None:
    from factotum.cli.output.jsonoutput import print_json

    found: list[str] = []
    if problem is not None:
        cause = problem.cause
        if isinstance(cause, errors.SchemaError):
            found = list(cause.violations)
        elif isinstance(cause, errors.FactfileError):
            found = [str(cause)]
        else:
            found = [str(problem)]
    print_json(console, {"factfile": path, "valid": problem is None, "errors": found})
