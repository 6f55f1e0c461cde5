"""``factotum server`` and ``factotum-server``: the start-up checks, in their order."""

import re
import sys
from collections.abc import Sequence
from typing import Final

from factotum.gateway import log, options
from factotum.gateway.options import ORIGINAL, OURS, Options
from factotum.gateway.original.endpoints import VERSION
from factotum.jobs.checking import identity

_ADDRESS: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}", re.ASCII)
_EXIT_BAD: Final = 1


def run(argv: Sequence[str], program: str = OURS) -> int:
    """Run the server until it is told to end; return its exit code.

    Args:
        argv: what follows the program's name.
        program: by which of its two names it was called.
    """
    try:
        given = options.parse(program, argv)
    except options.UsageError as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_BAD
    if given.has("--help"):
        log.say(options.help_text(program))
        return 0
    if given.has("--version"):
        log.say(f"Factotum Server version [{VERSION}]")
        return 0
    problem = _problem(given)
    if problem:
        log.say(problem)
        return _EXIT_BAD
    log.start(given.text("--log-level", "warn").lower())
    return _serve(given)


def main() -> int:
    """Be ``factotum-server``."""
    return run(sys.argv[1:], ORIGINAL)


def _problem(given: Options) -> str:
    """Return what keeps the server from starting; the first check counts."""
    path = given.text("--factotum-bin")
    if given.has("--factotum-bin") and not identity.exists(path):
        return f"Invalid path for Factotum binary at: '{path}'"
    for name, default in (("--ip", given.ip), ("--consul-ip", "127.0.0.1")):
        address = given.text(name, default)
        if not _ADDRESS.fullmatch(address):
            return f"Invalid IP address: [{address}] - Regex mismatch"
    level = given.text("--log-level", "warn")
    if level.lower() not in log.LEVELS:
        return f"Unknown log level: '{level}'\nPlease select a valid log level."
    return ""


def _serve(given: Options) -> int:
    # Late: what only says its version or what is wrong with its options need not wait for it.
    from factotum.gateway.life import live
    from factotum.gateway.wire.server import listen

    try:
        listener = listen(given.ip, given.port)
    except OSError as error:
        log.say(f"Failed to start server - {identity.describe(error)}")
        return _EXIT_BAD
    return live(given, listener)
