"""What is found out about a submission before it is accepted.

Real: the checking processes, a foreign runner as a program, files of odd kinds.
"""

import asyncio
import json
import os
import signal
import sys
import time
import timeit
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factotum.jobs.checking import getopts, identity, own, serde
from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.checking.program import Program
from factotum.jobs.errors import (
    ArgumentsError,
    BackendError,
    DryRunError,
    FactfileMissingError,
    UnreadableError,
)
from factotum.jobs.views import Submission, Webhook
from support.server.running import factfile

ECHO = factfile("echo")


def submission(*args, document=ECHO):
    return Submission(name="x", factfile=json.dumps(document), args=args)


# --- JSON ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[1", "EOF while parsing a list at line 1 column 2"),
        ("[1 2]", "expected `,` or `]` at line 1 column 4"),
        ('{"a":1 "b"}', "expected `,` or `}` at line 1 column 8"),
        ('{"a":1,', "EOF while parsing a value at line 1 column 7"),
        ('{"a"', "EOF while parsing an object at line 1 column 4"),
        ("-x", "invalid number at line 1 column 2"),
        ("1.x", "invalid number at line 1 column 3"),
        ("1ex", "invalid number at line 1 column 3"),
        ("tru", "expected ident at line 1 column 3"),
        ('"\\ud800\\u0041"', "lone leading surrogate in hex escape at line 1 column 13"),
        ('"\\udc00"', "lone leading surrogate in hex escape at line 1 column 7"),
        ("NaN", "expected value at line 1 column 1"),
        ('"ü\n"', "invalid unicode code point at line 1 column 3"),
        ("\n\n  ]", "expected value at line 3 column 3"),
    ],
)
def test_what_is_no_json_is_told_in_the_originals_words(text, problem):
    with pytest.raises(serde.JsonError) as told:
        serde.parse(text.encode())
    assert str(told.value) == problem


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_both_ways_of_reading_agree(value, is_ascii, indent):
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()

    assert serde.parse(text) == value
    assert serde._Reader(text.decode("latin-1")).read() == value


@given(
    st.binary(max_size=40)
    | st.text('[]{}",:0123456789.eE+-\\u dtrfnal\n', max_size=30).map(str.encode)
)
def test_anything_is_json_or_an_error_that_says_where(payload):
    try:
        value = serde.parse(payload)
    except serde.JsonError as error:
        place = "column" in str(error) or "utf-8" in str(error)
    else:
        known = json.loads(payload, parse_int=float)
        place = json.loads(json.dumps(value), parse_int=float) == known
    assert place


def test_more_levels_than_the_original_follows_are_refused():
    assert serde.parse(b"[" * 127 + b"]" * 127)
    with pytest.raises(serde.JsonError, match="recursion limit"):
        serde.parse(b"[" * 128 + b"]" * 128)


@given(VALUES, st.integers(0, 140))
def test_how_deep_a_text_is_counts_and_not_how_many_brackets_it_has(value, depth):
    inner = json.dumps([value, "[{" * 70, '\\"[' * 70, [[], {}] * 70])
    text = "[" * depth + inner + "]" * depth

    assert serde._is_deep(text) == (depth_of(json.loads(text)) > serde.MAX_DEPTH)


def depth_of(value):
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 400_000, '["' + "[" * 400_000, '"\\', "[" * 400_000, "]" * 400_000]
)
def test_what_is_no_json_takes_no_longer(text):
    """Time that grows with the square of the length would be hours."""
    with pytest.raises(serde.JsonError):
        serde.parse(text.encode())


def test_a_factfile_of_many_tasks_is_read_by_the_interpreters_own_scanner():
    payload = json.dumps(factfile(*(f"echo {n} {'x' * 100};" for n in range(2000)))).encode()

    def seconds(read):
        return min(timeit.repeat(read, timer=time.thread_time, number=1, repeat=9))

    ours = seconds(lambda: serde.parse(payload))
    assert ours < seconds(lambda: serde._Reader(payload.decode("latin-1")).read()) / 2


# --- which job ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1.0, "1.0"),
        (1e3, "1000.0"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (0.00001, "0.00001"),
        (1.2345678901234568e29, "1.2345678901234568e29"),
        (123456.789, "123456.789"),
    ],
)
def test_fractions_are_written_as_the_original_writes_them(number, written):
    assert identity._compact([number]) == f"[{written}]"


def test_what_is_no_factfile_has_no_id(tmp_path):
    for content, problem in (
        (b"nul", "expected ident at line 1 column 3"),
        (b"\xff", "valid UTF-8"),
    ):
        path = tmp_path / "job"
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match=problem):
            identity.job_id(identity.read(str(path)), str(path), {})


def test_a_pipe_that_nobody_writes_to_holds_up_nobody(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(DryRunError):
        own.check(Submission(name="x", factfile_path=str(tmp_path / "pipe")), (), "factotum")
    assert time.monotonic() - began < 2


# --- arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ([], []),
        (["--tag", "a,b", "--tag=c,d"], ["a,b", "c,d"]),
        (["word", "-", "--start=", "--env", "--tag"], []),
        (["--", "--tag", "a"], []),
        (["--tag", "--", "x"], ["--"]),
    ],
)
def test_tags_are_found(words, tags):
    assert getopts.read_tags(words) == tags


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--verdict=x"], 'UnrecognizedOption("verdict")'),
        (["--resume", "x"], 'UnrecognizedOption("resume")'),
        (["--progress"], 'UnrecognizedOption("progress")'),
        (["-abc"], 'UnrecognizedOption("a")'),
        (["--tag"], 'ArgumentMissing("tag")'),
        (["--start=a", "--start=b"], 'OptionDuplicated("start")'),
        (["--dry-run=yes"], 'UnexpectedArgument("dry-run")'),
        (['--a"b'], 'UnrecognizedOption("a\\"b")'),
    ],
)
def test_arguments_that_tell_no_tags(words, problem):
    with pytest.raises(ArgumentsError) as told:
        getopts.read_tags(words)
    assert told.value.problem == problem


def test_a_command_line_means_what_it_means_to_the_runner():
    args = ["--start", "task 0", "--env", '{"a":"b"}', "--tag=t,u", "--constraint", "host,*"]
    args += ["--schedule=eager", "--max-parallel=2", "--heartbeat-interval=9"]
    appended = ("--webhook", "http://x.test/", "--max-stdouterr-size", "7", "--no-colour")
    request = own.check(submission(*args), appended, "factotum")
    options = request.options

    assert (options.start, options.env, options.tags) == ("task 0", {"a": "b"}, {"t": "u"})
    assert (options.constraints, options.eager, options.max_parallel) == ({"host": "*"}, True, 2)
    assert options.webhook == Webhook(
        url="http://x.test/", max_stdouterr_size=7, heartbeat_seconds=9
    )
    assert options.no_colour
    assert request.args == (*args, *appended)
    assert request.task_names == ("task 0",)


@pytest.mark.parametrize("option", ["--verdict", "--resume", "--output", "--log"])
def test_no_argument_makes_the_server_write_or_read_a_file(option, tmp_path):
    with pytest.raises((ArgumentsError, DryRunError)):
        own.check(submission(f"{option}={tmp_path / 'file'}"), (), "factotum")
    assert not (tmp_path / "file").exists()


# --- processes ----------------------------------------------------------------------------


async def test_a_check_that_takes_too_long_is_ended():
    processes = CheckingProcesses("factotum", count=1, limit_seconds=5)
    try:
        await processes.check(submission(), ())
        frozen = processes._processes[0]._process
        frozen.send_signal(signal.SIGSTOP)
        with pytest.raises(DryRunError, match="within 5 s"):
            await processes.check(submission(), ())
        assert frozen.returncode == -signal.SIGKILL
        assert (await processes.check(submission(), ())).job_id
    finally:
        await processes.stop()


async def test_a_process_that_was_killed_is_replaced():
    processes = CheckingProcesses("factotum", count=1)
    try:
        await processes.check(submission(), ())
        processes._processes[0]._process.kill()
        assert (await processes.check(submission(), ())).job_id
    finally:
        await processes.stop()


async def test_who_goes_away_spoils_no_other_answer():
    processes = CheckingProcesses("factotum", count=1)
    try:
        first = asyncio.create_task(processes.check(submission("--tag", "a,1"), ()))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        request = await processes.check(submission("--tag", "a,2"), ())
        assert request.tags == {"a": "2"}
    finally:
        await processes.stop()


# --- a foreign runner ---------------------------------------------------------------------


def program(folder, script):
    path = folder / "runner"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job"
    path.write_text(json.dumps(ECHO))
    return str(path)


async def test_a_foreign_runners_exit_code_decides(tmp_path, job):
    good = Program(str(program(tmp_path, "exit 0")))
    request = await good.check(Submission(name="x", factfile_path=job, args=("--tag=a,b",)), ("z",))
    bad = Program(str(program(tmp_path, "echo out; echo err >&2; exit 4")))

    assert (request.options, request.args) == (None, ("--tag=a,b", "z"))
    with pytest.raises(DryRunError) as told:
        await bad.check(Submission(name="x", factfile_path=job), ())
    assert (told.value.stderr, told.value.reason) == ("err\n", "out")
    assert told.value.command == f"{tmp_path}/runner run {job} --dry-run"


async def test_a_foreign_runner_that_hangs_is_ended(tmp_path, job):
    hangs = Program(
        str(program(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 60")), limit_seconds=0.5
    )
    with pytest.raises(DryRunError, match="within"):
        await hangs.check(Submission(name="x", factfile_path=job), ())

    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


async def test_a_large_factfile_of_a_foreign_runner_holds_up_nobody(tmp_path):
    path = tmp_path / "large"
    path.write_text(json.dumps({"numbers": [0.5] * 100_000}))
    began = time.monotonic()
    wanted = identity.job_id(path.read_bytes(), str(path), {})
    alone = time.monotonic() - began
    foreign = Program(str(program(tmp_path, "exit 0")))
    longest, last = 0.0, time.monotonic()
    checking = asyncio.create_task(foreign.check(Submission(name="x", factfile_path=str(path)), ()))
    while not checking.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()

    assert (await checking).job_id == wanted
    assert longest < alone / 2


async def test_a_foreign_runner_takes_files_only(tmp_path):
    foreign = Program(sys.executable)
    with pytest.raises(FactfileMissingError):
        await foreign.check(Submission(name="x", factfile_path=str(tmp_path / "none")), ())
    with pytest.raises(Exception, match="say a path") as told:
        await foreign.check(submission(), ())
    assert not isinstance(told.value, BackendError)
