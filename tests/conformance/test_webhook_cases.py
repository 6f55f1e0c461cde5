"""Cases of webhook events that no recorded run is named after (W-002 to W-053).

Real: the installed command and an HTTP server. Moments, lengths and hashes that no run
can produce at will are asked of the functions that write them.
"""

import base64
import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from factotum.core.factfile import references
from factotum.core.run import durations
from factotum.events.retries import RetryPolicy
from support.builders import factfiles
from support.builders.factfiles import CHAIN, ECHO, EMPTY, FAIL, MIXED, MULTI, NOOP, factfile, task
from support.http.receivers import Receiver

SCHEMAS = Path(__file__).parents[1] / "events" / "schemas"
CHAIN_REFERENCE = "126bc5fc6edffd0e71d385f49c09dda5ed4b37ad63d994917dd2213b5463e66d"
TAGGED_REFERENCE = "781f7978fac4d6dbe27d2b6f771ec65db29bf6e31991038cdf0c11b6ae7e57b4"
SAME_REFERENCE = "e7738906a0297b562b4fe963b8a4c9629a0fe269fca5287354c0f30d8b3752c4"


def changes(event):
    """Return an event's transitions in short: name, before, after; None is the job."""
    if "jobTransition" in event:
        transition = event["jobTransition"]
        return [(None, transition["previousState"], transition["currentState"])]
    return [
        (each["taskName"], each["previousState"], each["currentState"])
        for each in event["taskTransitions"]
    ]


def states(event):
    return {each["taskName"]: each for each in event["taskStates"]}


@pytest.mark.parametrize("case", [pytest.param(None, id="W-002")])
def test_failure_skips_in_the_event_of_its_cause(case, post):
    posted = post(FAIL)

    assert posted.run.exit == 2
    assert [changes(event) for event in posted.events] == [
        [(None, None, "WAITING")],
        [(None, "WAITING", "RUNNING")],
        [("a", "WAITING", "RUNNING")],
        [("a", "RUNNING", "SUCCEEDED")],
        [("b", "WAITING", "RUNNING")],
        [
            ("b", "RUNNING", "FAILED"),
            ("c", "WAITING", "SKIPPED"),
            ("d", "WAITING", "SKIPPED"),
        ],
        [(None, "RUNNING", "FAILED")],
    ]
    assert states(posted.events[-1])["d"]["errorMessage"] == "the task 'b' failed"


@pytest.mark.parametrize("case", [pytest.param(None, id="W-009")])
def test_first_event_has_a_null_state_before(case, post):
    first = post(CHAIN).events[0]

    assert first["jobTransition"] == {"currentState": "WAITING", "previousState": None}
    assert "taskTransitions" not in first


@pytest.mark.parametrize("case", [pytest.param(None, id="W-010")])
def test_task_updates_have_no_job_transition(case, post):
    documents = post(CHAIN).documents

    tasks = [each["data"] for each in documents if "/task_update/" in each["schema"]]
    assert len(tasks) == 6
    assert not any("jobTransition" in data for data in tasks)


@pytest.mark.parametrize(
    ("number", "name", "keys"),
    [
        pytest.param(0, "a", ["state", "taskName"], id="W-012"),
        pytest.param(-1, "c", ["errorMessage", "state", "taskName"], id="W-013"),
    ],
)
def test_fields_of_a_task_that_never_ran(number, name, keys, post):
    event = post(FAIL).events[number]

    assert list(states(event)[name]) == keys


@pytest.mark.parametrize("case", [pytest.param(None, id="W-016")])
def test_moments_have_milliseconds(case):
    assert durations.to_timestamp(1_404_810_611_012_999_999) == "2014-07-08T09:10:11.012Z"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        pytest.param(0, "PT0S", id="W-017.nothing"),
        pytest.param(10**9, "PT1S", id="W-017.second"),
        pytest.param(25 * 10**8, "PT2.500S", id="W-017.milliseconds"),
        pytest.param(1_500_000, "PT0.001500S", id="W-017.microseconds"),
        pytest.param(237_944, "PT0.000237944S", id="W-017.nanoseconds"),
        pytest.param(90 * 60 * 10**9, "PT5400S", id="W-017.minutes"),
        pytest.param(24 * 3600 * 10**9, "P1D", id="W-017.day"),
        pytest.param(25 * 3600 * 10**9, "P1DT3600S", id="W-017.day-and-hour"),
    ],
)
def test_durations_have_days_and_seconds(nanoseconds, text):
    assert durations.to_iso(nanoseconds) == text


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        pytest.param("0", "", id="W-020"),
        pytest.param("8", "e1\nline2", id="W-021"),
        pytest.param("1", "2", id="W-051.1"),
        pytest.param("3", "ne2", id="W-051.3"),
        pytest.param("12", "line1\nline2", id="W-051.12"),
    ],
)
def test_output_is_cut_at_its_beginning(limit, shown, post):
    text = factfile("j", task("a", "echo line1; echo line2"))

    event = post(text, f"--max-stdouterr-size={limit}").events[-1]

    assert event["taskStates"][0]["stdout"] == shown


@pytest.mark.parametrize(
    ("text", "args", "reference"),
    [
        pytest.param(
            CHAIN, ["--tag", "env,prod", "--tag", "b c, x,y"], TAGGED_REFERENCE, id="W-023"
        ),
        pytest.param(
            json.dumps(json.loads(CHAIN), indent=3), [], CHAIN_REFERENCE, id="W-026.space"
        ),
        pytest.param(
            json.dumps(json.loads(CHAIN), sort_keys=True), [], CHAIN_REFERENCE, id="W-026.order"
        ),
        pytest.param(ECHO, ["--tag", "ab,c"], SAME_REFERENCE, id="W-050.first"),
        pytest.param(ECHO, ["--tag", "a,bc"], SAME_REFERENCE, id="W-050.second"),
    ],
)
def test_job_reference(text, args, reference, post):
    event = post(text, *args).events[0]

    assert event["jobReference"] == reference
    if len(args) == 4:
        assert event["tags"] == {"b c": "xy", "env": "prod"}


@pytest.mark.parametrize("case", [pytest.param(None, id="W-025")])
def test_job_reference_is_a_hash_over_text_and_sorted_tags(case):
    tags = {"z": "sdfsdfs", "hello": "world", "a": "b"}

    reference = references.job_reference("{Blabla}", tags)

    assert reference == hashlib.sha256(b"{Blabla}abhelloworldzsdfsdfs").hexdigest()
    assert reference == "234dd3e6dda962e0f6810e6e319c3087c48c9ff3d3aa8055162324858a421161"


@pytest.mark.parametrize("case", [pytest.param(None, id="W-027")])
def test_factfile_field_is_the_rendered_compact_form(case, post):
    text = factfile("{{tag:env}}", task("a{{x}}", "true", after=[]))

    event = post(text, "--tag", "env,prod", "--env", '{"x":"\u00fc"}').events[0]

    decoded = base64.b64decode(event["factfile"], validate=True).decode()
    assert decoded == factfile("prod", task("a\u00fc", "true"))


@pytest.mark.parametrize("case", [pytest.param(None, id="W-030")])
def test_each_run_has_a_reference_of_its_own(case, factotum, tmp_path):
    """60 processes, as many as were recorded; the rest would only show chance again."""
    (tmp_path / "job").write_text(EMPTY)
    with Receiver() as receiver:
        for _ in range(60):
            factotum("run", "job", "--webhook", receiver.url)

    found = {json.loads(request.body)["data"]["runReference"] for request in receiver.requests}
    assert len(found) == 60
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in found)


@pytest.mark.parametrize("draw", [pytest.param(d, id=f"W-035.{d}") for d in (0.0, 0.5, 0.9999999)])
def test_original_back_off_is_below_a_minute(draw):
    original = RetryPolicy.parse("original")

    pauses = [original.pause_after(failed, lambda: draw) for failed in (1, 2, 3)]

    assert all(0 <= pause < 60 for pause in pauses)
    assert len(set(pauses)) == 1  # after the third try as well


@pytest.mark.parametrize("case", [pytest.param(None, id="W-040")])
def test_heartbeats_add_the_output_of_running_tasks_to_other_events(case, post):
    quick = task("quick", "sleep 0.4")
    long = task("long", "echo so far; echo e >&2; sleep 0.8")

    events = post(factfile("j", quick, long), "--heartbeat-interval=30").events

    ended = [event for event in events if ("quick", "RUNNING", "SUCCEEDED") in changes(event)]
    assert "stdout" not in states(events[2])["long"]
    assert states(ended[0])["long"]["stdout"] == "so far"
    assert states(ended[0])["long"]["stderr"] == "e"


@pytest.mark.parametrize(
    ("text", "args"),
    [
        pytest.param(CHAIN, [], id="W-042.chain"),
        pytest.param(FAIL, [], id="W-042.fail"),
        pytest.param(NOOP, [], id="W-042.noop"),
        pytest.param(MULTI, ["--heartbeat-interval=1"], id="W-042.multi"),
        pytest.param(EMPTY, ["--tag", "a,b"], id="W-042.empty"),
        pytest.param(MIXED, [], id="W-042.mixed"),
    ],
)
def test_events_are_valid_by_the_published_schemas(text, args, post):
    schemas = {
        kind: jsonschema.Draft4Validator(
            json.loads((SCHEMAS / f"{file}_transition_self_desc.json").read_text())
        )
        for kind, file in (("job_update", "job"), ("task_update", "task"))
    }

    documents = post(text, *args).documents

    assert len(documents) >= 3
    for document in documents:
        schemas[document["schema"].split("/")[1]].validate(document)


@pytest.mark.parametrize("case", [pytest.param(None, id="W-043")])
def test_keys_are_in_alphabetical_order(case, post):
    documents = post(FAIL, "--tag", "z,1", "--tag", "a,2").documents

    def check(value):
        if isinstance(value, dict):
            assert list(value) == sorted(value)
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, (dict, list)):
                check(each)

    for document in documents:
        assert list(document) == ["schema", "data"]
        check(document["data"])


@pytest.mark.parametrize("outcome", ["ok", "noop", "fail"])
@pytest.mark.parametrize("case", [pytest.param(None, id="W-052")])
def test_two_causes_name_each_that_did_not_succeed(case, outcome, post):
    codes = {"ok": "0", "noop": "9", "fail": "5"}
    words = {"noop": "requested early termination", "fail": "failed"}
    first = task("x", f"exit {codes[outcome]};", terminate=[9])
    second = task("y", "sleep 0.3; exit", "5")

    event = post(factfile("j", first, second, task("z", after=["x", "y"]))).events[-1]

    causes = [f"the task 'x' {words[outcome]}"] if outcome in words else []
    assert states(event)["z"]["errorMessage"] == ", ".join([*causes, "the task 'y' failed"])


def test_fixtures_are_those_of_the_recorded_runs():
    """The chain's compact form is the one whose reference is known (W-022)."""
    assert references.job_reference(factfiles.CHAIN, {}) == CHAIN_REFERENCE
