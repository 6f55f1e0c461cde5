"""What others have a say in is no entry of the server's log of its own, an error's text included.

Real: the server's log in a process of its own.
"""

import subprocess
import sys

PROGRAM = """
import logging
from factotum.gateway import log

log.start("info")
try:
    raise ValueError("one\\n2026-01-01T00:00:00.000000000+00:00  INFO - forged\\x1b[2J")
except ValueError:
    logging.getLogger("factotum.test").exception("two\\n2026-01-01T00:00:00 forged, too")
log.end()
"""


def test_nothing_that_an_error_says_looks_like_an_entry():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)

    lines = done.stdout.split(b"\n")
    assert [line for line in lines if line.startswith(b"2026-01-01")] == []
    assert sum(b"forged" in line for line in lines) >= 2
    assert b"\x1b" not in done.stdout
