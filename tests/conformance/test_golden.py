"""Every recorded run of the original program, replayed against the installed command.

Real: the command as a process, its shell, an HTTP server for the webhook. The records
say themselves where a run may differ (`accept`). Only the pauses between tries of a
webhook are shortened; bytes of events are compared as well as their content.
"""

from pathlib import Path

import pytest

from support import golden

RECORDS = golden.load_records(Path(__file__).parent / "golden" / "cli.jsonl")


@pytest.mark.parametrize("record", [pytest.param(each, id=each["id"]) for each in RECORDS])
def test_behaves_as_recorded(record, replays, deviations):
    seen = replays.first(record)
    found = golden.differences(record, seen)
    if golden.deviates(record, seen) and not found:
        deviations.append(record["id"])
    if found and record.get("timing"):  # sleeps and a busy machine: a second chance, alone
        found = golden.differences(record, replays.run(record))

    assert not found, "\n".join([record["title"], *found])
