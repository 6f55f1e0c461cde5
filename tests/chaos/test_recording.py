"""What a task of a chaos run writes down. Real: the script, the shell, signals, processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support.cluster.clusters import ROOT

sys.path.append(str(ROOT))
from chaos.recording import Fact

from chaos import recording

GROUP = "group-1."
POD = "job-1-1-0123abcd"


def start(
    record, *, pod="job-1-1-0123abcd", task="t1", what="0", codes="0", term="143", group=GROUP
):
    return subprocess.Popen(
        [str(recording.SCRIPT), str(record), group, task, str(what), codes, term],
        env=os.environ | {"HOSTNAME": pod},
    )


def wait_for(record, fact, count=1):
    deadline = time.monotonic() + 20
    while sum(line.fact is fact for line in lines_of(record)) < count:
        assert time.monotonic() < deadline, "it was not written down"
        time.sleep(0.02)


def lines_of(record):
    return recording.parse(record.read_text()) if record.exists() else []


@pytest.fixture
def record(tmp_path):
    return tmp_path / "record"


@pytest.mark.parametrize(
    ("attempt", "code"), [(1, 5), (2, 7), (3, 0), (4, 0)], ids=["first", "second", "last", "later"]
)
def test_a_task_ends_with_the_code_of_its_attempt_and_says_so(record, attempt, code):
    process = start(record, pod=f"my-job-{attempt}-2-0123abcd", codes="5 7 0")
    assert process.wait(20) == code
    started, ended = lines_of(record)
    assert (started.fact, started.detail, started.pid) == (Fact.STARTED, GROUP, process.pid)
    assert (ended.fact, ended.detail) == (Fact.ENDED, str(code))
    assert (ended.job, ended.attempt, ended.task) == ("my-job", attempt, "t1")
    assert started.moment <= ended.moment


def test_a_task_that_is_told_to_end_says_so_and_obeys(record):
    process = start(record, what="60", term="0")
    wait_for(record, Fact.STARTED)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert [line.fact for line in lines_of(record)] == [Fact.STARTED, Fact.TOLD_TO_END]


def test_a_task_waits_for_a_gate(record, tmp_path):
    process = start(record, what=tmp_path / "gate")
    wait_for(record, Fact.STARTED)
    assert process.poll() is None
    (tmp_path / "gate").touch()
    assert process.wait(20) == 0


def test_two_pods_of_one_group_see_each_other_and_tasks_of_one_pod_do_not(record, tmp_path):
    gate = tmp_path / "gate"
    first = [start(record, task=task, what=gate) for task in ("t1", "t2")]
    wait_for(record, Fact.STARTED, 2)
    time.sleep(0.3)
    other_group = start(record, pod="third-1-1-0123abcd", group="group-10.")
    assert other_group.wait(20) == 0
    assert Fact.OVERLAPPED not in [line.fact for line in lines_of(record)]
    second = start(record, pod="other-1-1-0123abcd")
    assert second.wait(20) == 0
    seen = {line.detail for line in lines_of(record) if line.fact is Fact.OVERLAPPED}
    gate.touch()
    for process in first:
        process.wait(20)
    assert seen == {"job-1-1-0123abcd.t1", "job-1-1-0123abcd.t2"}


def test_a_task_that_was_killed_is_no_company_for_the_next(record):
    process = start(record, what="60")
    wait_for(record, Fact.STARTED)
    time.sleep(0.3)
    assert recording.still_running(lines_of(record))
    process.kill()
    process.wait(20)
    assert recording.still_running(lines_of(record)) == []
    assert start(record, pod="other-1-1-0123abcd").wait(20) == 0
    assert Fact.OVERLAPPED not in [line.fact for line in lines_of(record)]


def test_a_line_that_is_still_being_written_does_not_count():
    whole = "S job-1-1-0123abcd t1 7 1.5 g.\n"
    assert recording.parse(whole + "E job-1-1-01") == recording.parse(whole)
    assert len(recording.parse(whole)) == 1
