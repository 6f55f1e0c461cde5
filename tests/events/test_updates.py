"""Bytes of events, from a run driven by hand with moments and durations of our choice.

Pure. The expected bytes are those of the specification's worked examples. What a whole
run posts is compared with the original's records in tests/conformance.
"""

import json
import time

import pytest

from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.core.run.output import OutputTail
from factotum.events import updates
from support.builders.factfiles import CHAIN, FAIL, factfile, task

STARTED = 1_763_765_000_000_000_000 + 942_999_999
STARTED_TEXT = "2025-11-21T22:43:20.942Z"
REFERENCE = "77" * 32
TAGS = {"env": "prod", "b c": "xy"}


def begin(text, tags=TAGS, **options):
    """Return an execution and an assembler for it."""
    parsed = Factfile.parse(text, {})
    description = updates.RunDescription(parsed, tags, REFERENCE, STARTED)
    return Execution(parsed, **options), updates.Assembler(description)


def all_of(execution):
    return [(run.index, updates.task_fragment(run)) for run in execution.task_runs]


def tail(text):
    made = OutputTail(10_000)
    made.append(text.encode())
    return made


def test_first_event_is_the_original_s_byte_by_byte():
    execution, assembler = begin(CHAIN)
    update = updates.Update(
        updates.JOB_UPDATE,
        updates.job_transition(None, "WAITING"),
        "WAITING",
        "PT0.000237944S",
        all_of(execution),
    )

    body = assembler.assemble(update).decode()

    head, _, rest = body.partition('"factfile":"')
    encoded, _, rest = rest.partition('",')
    assert head == (
        '{"schema":"iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0",'
        '"data":{"applicationContext":{"name":"factotum","version":"0.7.0"},'
    )
    assert encoded.startswith("eyJzY2hlbWEiOiJpZ2x1OmNvbS5zbm93cGxvd2FuYWx5dGljcy5mYWN0b3R1bS9mY")
    assert rest == (
        '"jobName":"chain",'
        '"jobReference":"781f7978fac4d6dbe27d2b6f771ec65db29bf6e31991038cdf0c11b6ae7e57b4",'
        '"jobTransition":{"currentState":"WAITING","previousState":null},'
        f'"runDuration":"PT0.000237944S","runReference":"{REFERENCE}","runState":"WAITING",'
        f'"startTime":"{STARTED_TEXT}","tags":{{"b c":"xy","env":"prod"}},'
        '"taskStates":[{"state":"WAITING","taskName":"a"},{"state":"WAITING","taskName":"b"},'
        '{"state":"WAITING","taskName":"c"}]}}'
    )


def test_later_event_changes_only_what_it_tells():
    execution, assembler = begin(CHAIN)
    first = updates.job_transition(None, "WAITING")
    assembler.assemble(
        updates.Update(updates.JOB_UPDATE, first, "WAITING", "PT0S", all_of(execution))
    )
    (run,) = execution.take()
    execution.start(run, STARTED)
    run.stdout = tail("A\n")
    transitions = execution.finish(run, 0, 1_093_608)

    body = assembler.assemble(
        updates.Update(
            updates.TASK_UPDATE,
            updates.task_transitions(transitions),
            "RUNNING",
            "PT0.004270026S",
            [(run.index, updates.task_fragment(run))],
        )
    ).decode()

    assert body.endswith(
        '"taskStates":[{"duration":"PT0.001093608S","returnCode":0,'
        f'"started":"{STARTED_TEXT}","state":"SUCCEEDED","stdout":"A","taskName":"a"}},'
        '{"state":"WAITING","taskName":"b"},{"state":"WAITING","taskName":"c"}],'
        '"taskTransitions":[{"currentState":"SUCCEEDED","previousState":"RUNNING","taskName":"a"}]'
        "}}"
    )
    assert "jobTransition" not in body


def test_failed_and_skipped_tasks_say_why():
    execution, _ = begin(FAIL, start="b")
    (run,) = execution.take()
    execution.start(run, STARTED)
    transitions = execution.finish(run, 5, 1_296_308)

    assert updates.task_fragment(run).decode() == (
        '{"duration":"PT0.001296308S","errorMessage":"the task exited with a value not specified'
        ' in continue_job - 5 (task expects one of the following return codes to continue [0])",'
        f'"returnCode":5,"started":"{STARTED_TEXT}","state":"FAILED","taskName":"b"}}'
    )
    assert [updates.task_fragment(each.run).decode() for each in transitions[1:]] == [
        '{"errorMessage":"the task \'b\' failed","state":"SKIPPED","taskName":"c"}',
        '{"errorMessage":"the task \'b\' failed","state":"SKIPPED","taskName":"d"}',
    ]


def test_task_that_could_not_be_run_says_so_instead_of_its_code():
    execution, _ = begin(CHAIN)
    (run,) = execution.take()
    execution.start(run, STARTED)
    execution.finish(run, -1, 0, "Error executing process - No such file or directory (os error 2)")

    told = json.loads(updates.task_fragment(run))

    assert told["errorMessage"].startswith("Error executing process - ")
    assert (told["duration"], told["returnCode"]) == ("PT0S", -1)


@pytest.mark.parametrize(("live", "keys"), [(False, []), (True, ["stderr", "stdout"])])
def test_running_task_shows_its_output_only_with_heartbeats(live, keys):
    execution, _ = begin(CHAIN)
    (run,) = execution.take()
    execution.start(run, STARTED)
    run.stdout, run.stderr = tail("so far\n"), tail("e\n")

    told = json.loads(updates.task_fragment(run, live_output=live))

    assert list(told) == ["started", "state", *keys, "taskName"]


def test_strings_are_escaped_as_the_original_does():
    name = 'q"\\ \x08\t\n\x0c\r\x01\x1f\x7f/\u00fc\u2028\U0001f600'
    execution, assembler = begin(
        factfile("j", task("t")).replace('"t"', json.dumps(name)), {"\x7f": name}
    )

    body = assembler.assemble(
        updates.Update(
            updates.TASK_UPDATE,
            updates.task_transitions_from_to("WAITING", "RUNNING", execution.task_runs),
            "RUNNING",
            "PT0S",
            all_of(execution),
        )
    ).decode()

    quoted = '"q\\"\\\\ \\b\\t\\n\\f\\r\\u0001\\u001f\\u007f/\u00fc\u2028\U0001f600"'
    assert f'"tags":{{"\\u007f":{quoted}}}' in body
    assert body.count(f'"taskName":{quoted}') == 2


def test_factfile_is_standard_base64_without_line_breaks():
    """`>>>???` gives both characters that base64 dialects differ in."""
    _, assembler = begin(factfile("~~~" * 40 + ">>>???" * 40))
    update = updates.Update(
        updates.JOB_UPDATE, updates.job_transition(None, "WAITING"), "WAITING", "PT0S", []
    )

    encoded = json.loads(assembler.assemble(update))["data"]["factfile"]

    assert "+" in encoded or "/" in encoded
    assert not set(encoded) & set("-_\n\r")


def test_event_of_a_large_run_costs_a_join():
    """10,000 tasks: no event may encode all of them again (that would take some 20 ms)."""
    execution, assembler = begin(factfile("j", *(task(f"task {n}") for n in range(10_000))))
    waiting = updates.job_transition(None, "WAITING")
    assembler.assemble(
        updates.Update(updates.JOB_UPDATE, waiting, "WAITING", "PT0S", all_of(execution))
    )
    changed = [(5_000, updates.task_fragment(execution.task_runs[5_000]))]

    begun = time.perf_counter()
    for _ in range(20):
        assembler.assemble(updates.Update(updates.TASK_UPDATE, b"[]", "RUNNING", "PT0S", changed))
    took = (time.perf_counter() - begun) / 20

    assert took < 0.005
