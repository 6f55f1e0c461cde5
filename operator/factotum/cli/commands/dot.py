"""`factotum dot`: writes the graph of a factfile. All its failures go to standard error, as 3."""

from __future__ import annotations

from factotum.cli import factfiles
from factotum.core import errors
from factotum.core.factfile.drawing import to_dot
from factotum.core.words.states import ExitCode
from factotum.runner.console import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from factotum.cli.logfile import LogFile
    from factotum.core.commandline.arguments import Arguments
    from factotum.runner.console import Console


def dot(given: Arguments, console: Console, log: LogFile) -> int:
    """Write the graph to standard output or to the file that was asked for."""
    try:
        factfile, _ = factfiles.load(given.operand, None)
        graph = to_dot(factfile, given.value("--start"))
    except factfiles.FactfileProblem as problem:
        log.add(problem.for_log)
        return _fail(console, str(problem))
    except errors.UnknownStartError as error:
        return _fail(console, str(error))
    except errors.StartNotAllowedError:
        return _fail(console, "the job cannot be started here.")
    path = given.value("--output")
    if path is None:
        console.out(graph)
        return ExitCode.SUCCESS
    return _write(console, path, graph, overwrite=given.has("--overwrite"))


def _write(console: Console, path: str, graph: str, *, overwrite: bool) -> int:
    from factotum.cli.output.writing import CreateError, write_file

    try:
        write_file(path, encode(graph), console.outlets, may_replace=overwrite)
    except CreateError as problem:
        reason = factfiles.describe(problem.error)
        return _fail_file(console, f"couldn't create file '{path}' ({reason})")
    except OSError as error:
        return _fail_file(console, f"couldn't write to file '{path}' ({factfiles.describe(error)})")
    console.out(console.green("File written successfully") + "\n")
    return ExitCode.SUCCESS


def _fail(console: Console, message: str) -> int:
    console.err(f"{console.red('Error:')} {console.red(message)}\n")
    return ExitCode.OTHER


def _fail_file(console: Console, message: str) -> int:
    console.err(f"{console.red('Error: ')}{console.red(message)}\n")
    return ExitCode.OTHER
