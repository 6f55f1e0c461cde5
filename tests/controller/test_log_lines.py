"""The operator's log as it is written: one line a thing, and nothing that only looks like one.

Real: a process with the operator's own log, whose standard error is read; the writer on an API in
memory.
"""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from factotum.controller import log
from factotum.controller.apply.writer import Writer
from factotum.controller.clock import HeldClock
from factotum.controller.decide import status
from factotum.controller.facts.cache import Cache
from factotum.controller.settings import Settings
from factotum.kube.memory import MemoryApi
from support.builders.jobs import CLAIM_ID, NOW, make_job, make_plan, make_pod, raw_job
from support.model.stage import JOB, Stage

SOURCE = Path(__file__).parents[2] / "operator"
LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] \S+ +\[(INFO|WARNING|ERROR) *\] (.*)")
FORGED = (
    '\n[2026-01-01 00:00:00,000] factotum [INFO    ] job a/b: attempt 1: DONE\r\x1b[2K\u2028"}\x85'
)


def written(code, form="text"):
    """Run code in a process with the operator's log; return what it wrote."""
    program = (
        "import logging, sys\n"
        "from factotum.controller import log\n"
        "from factotum.controller.main import set_up_log\n"
        f"set_up_log({form!r})\n"
        f"FORGED = {FORGED!r}\n"
        "logger = logging.getLogger('factotum.some')\n"
        f"{code}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=True,
    )
    return done.stderr.decode()


def test_a_message_is_one_line_whatever_is_in_it():
    text = written("logger.info('said: %s', FORGED)")

    (line,) = text.splitlines()
    assert LINE.fullmatch(line)[2].startswith("said: \\n[2026-01-01")
    assert line.isprintable()


def test_lines_of_a_traceback_cannot_be_taken_for_others():
    text = written(
        "try:\n    raise ValueError(FORGED)\n"
        "except ValueError:\n    logger.exception('it cannot be brought forward')"
    )

    first, *more = text.split("\n")[:-1]
    assert LINE.fullmatch(first)[1] == "ERROR"
    assert more
    assert all(line.startswith("  | ") and line.isprintable() for line in more)


def test_a_stack_is_set_in_as_well():
    first, *more = written("logger.info('here', stack_info=True)").split("\n")[:-1]

    assert LINE.fullmatch(first)
    assert more
    assert all(line.startswith("  | ") for line in more)


def test_a_message_is_cut_where_it_is_longer_than_anybody_reads():
    (line,) = written("logger.info('x' * 100_000)").splitlines()

    assert len(line) < 9000
    assert line.endswith(" ... and 91808 characters more")


def test_in_json_each_line_is_an_object_with_the_jobs_name_and_attempt():
    text = written(
        "log.JobLogger(logger, 'job a/b: attempt 2: ', {'namespace': 'a', 'job': FORGED,"
        " 'attempt': 2, 'uid': 'u'}).warning('a word: %s', FORGED)\n"
        "try:\n    raise ValueError(FORGED)\n"
        "except ValueError:\n    logger.exception('it failed')",
        "json",
    )

    first, second = map(json.loads, text.splitlines())
    assert text.isascii()
    assert (first["namespace"], first["attempt"], first["uid"]) == ("a", 2, "u")
    assert first["severity"] == "warn"
    assert first["message"].startswith("job a/b: attempt 2: a word: \\n[2026")
    assert "ValueError" in second["exc_info"]


def test_a_per_cent_sign_in_a_name_is_nothing_but_that(caplog):
    job = make_job(name="100%s")
    with caplog.at_level(logging.INFO):
        log.of(logging.getLogger("factotum.some"), job).info("%s of %s", 1, 2)

    assert caplog.messages == ["job pipelines/100%s: attempt 1: 1 of 2"]


def test_a_job_that_nobody_knows_any_more_is_told_by_its_uid(caplog):
    log.of_unknown(logging.getLogger("factotum.some"), "abc").warning("no answer")

    assert caplog.messages == ["job of UID abc, which is gone: no answer"]


PATCHES = {
    "QUEUED": lambda job: status.waiting(job, "WaitingForWorker", "all workers are busy", NOW),
    "WORKING": lambda job: status.claimed(job, make_plan(), make_pod(), CLAIM_ID, NOW),
    "DONE": lambda job: status.finished(
        job, succeeded=True, reason="Succeeded", message="3/3 tasks run", now=NOW
    ),
}


@pytest.mark.parametrize("state", PATCHES)
async def test_each_step_of_a_job_is_one_line_with_its_name_and_attempt(state, caplog):
    api, cache = MemoryApi(), Cache()
    job = cache.put_job(api.put(JOB, raw_job(status={"attempt": 3})))
    writer = Writer(api, cache, Settings(), HeldClock(NOW))
    with caplog.at_level(logging.INFO):
        await writer.patch(job, PATCHES[state](job))
    writer.close()

    (record,) = [r for r in caplog.records if r.name.startswith("factotum")]
    assert record.getMessage().startswith(f"job pipelines/nightly: attempt 3: {state} ")
    assert (record.namespace, record.job, record.attempt) == ("pipelines", "nightly", 3)


async def test_what_goes_wrong_with_a_job_is_told_with_its_name_and_attempt(caplog):
    stage = Stage()
    stage.job(status={"attempt": 2})
    uid = next(iter(stage.cache.jobs))
    stage.reconciler._later(uid, None)
    stage.reconciler._later(uid, KeyError("an answer that is none"))

    assert caplog.messages == [
        "job pipelines/nightly: attempt 2: 'an answer that is none'; again in 0.5 s"
    ]
    stage.reconciler.queue.forget(uid)
