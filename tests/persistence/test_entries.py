"""Factotum Server's entry, its keys and its arguments. Pure: nothing runs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.persistence.entries import (
    Entry,
    EntryOutcome,
    EntrySettings,
    EntrySettingsError,
    EntryState,
    JobKey,
    JobRequest,
    StoredEntry,
    checked_name,
    factfile_args,
    factfile_path,
)

JOB_ID = "6ef5cf55f2815a098695861ec5f8e9c7122dd2e5339cf954d7e2cb2e761dd583"

ORIGINAL = (
    '{"state":"QUEUED","jobRequest":{"jobId":"' + JOB_ID + '","jobName":"echotest",'
    '"factfilePath":"/opt/jobs/echo.factfile","factfileArgs":["--tag","foo,bar","--webhook",'
    '"http://collector:8080/","--max-stdouterr-size","10000","--no-colour"]},'
    '"lastRunFrom":"factotum","lastOutcome":"WAITING"}'
).encode()
"""What Factotum Server 0.3.0 stored (server.md 8)."""


def entry(**changes):
    fields = {
        "state": EntryState.QUEUED,
        "request": JobRequest(
            job_id=JOB_ID,
            job_name="echotest",
            factfile_path="/opt/jobs/echo.factfile",
            factfile_args=(
                "--tag",
                "foo,bar",
                "--webhook",
                "http://collector:8080/",
                "--max-stdouterr-size",
                "10000",
                "--no-colour",
            ),
        ),
        "last_run_from": "factotum",
        "last_outcome": EntryOutcome.WAITING,
    }
    return Entry(**(fields | changes))


def test_an_entry_has_the_bytes_that_the_original_stored():
    assert entry().to_json() == ORIGINAL


def test_text_is_written_as_the_original_does_with_delete_and_umlauts_as_they_are():
    request = JobRequest(job_id="a", job_name='ü\x7f\x01\n"\\', factfile_path="p")
    assert '"jobName":"ü\x7f\\u0001\\n\\"\\\\"'.encode() in entry(request=request).to_json()


def test_an_entry_that_was_read_and_closed_keeps_its_request():
    stored = StoredEntry.parse(ORIGINAL)
    assert stored.closed().to_json() == ORIGINAL.replace(b"QUEUED", b"DONE").replace(
        b"WAITING", b"FAILED"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"5",
        b'"DONE"',
        b"\xff\xfe",
        b'{"state":"DONE"}',
        b'{"state":"PAUSED","lastRunFrom":"x","lastOutcome":"WAITING"}',
        b'{"state":["DONE"],"lastRunFrom":"x"}',
        b'{"state":"DONE","lastRunFrom":5}',
        b"[" * 100_000,
    ],
)
def test_a_value_that_is_no_entry_is_seen_as_such(value):
    assert StoredEntry.parse(value) is None


def test_whatever_names_a_state_and_an_owner_counts_as_that_owners():
    stored = StoredEntry.parse(b'{"lastRunFrom":"srv","state":"WORKING","jobRequest":[1],"new":1}')
    assert (stored.state, stored.last_run_from) == (EntryState.WORKING, "srv")


@given(
    st.sampled_from(["DONE", "WORKING", None, 5]),
    st.none() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=2),
    st.none()
    | st.integers()
    | st.dictionaries(
        st.sampled_from(["jobId", "jobName", "factfilePath", "factfileArgs"]),
        st.none() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
    ),
)
def test_no_stored_value_breaks_the_reader(state, owner, request):
    value = json.dumps({"state": state, "lastRunFrom": owner, "jobRequest": request}).encode()
    stored = StoredEntry.parse(value)
    assert (stored is not None) == (isinstance(state, str) and isinstance(owner, str))


SETTINGS = EntrySettings(name="us", bare_namespace="factory")


@pytest.mark.parametrize(
    ("namespace", "path"),
    [
        ("factory", f"com.snowplowanalytics/factotum/{JOB_ID}"),
        ("pipelines", f"com.snowplowanalytics/factotum/pipelines/{JOB_ID}"),
    ],
)
def test_one_namespace_has_the_original_keys_and_all_others_their_own(namespace, path):
    key = JobKey(namespace, JOB_ID)
    assert SETTINGS.key_path(key) == path
    assert SETTINGS.key_of(path) == key


@pytest.mark.parametrize(
    "path",
    [
        "com.snowplowanalytics/factotum",
        "com.snowplowanalytics/factotum/",
        "com.snowplowanalytics/factotum/a/b/c",
        f"com.snowplowanalytics/factotum/factory/{JOB_ID}",
        f"elsewhere/{JOB_ID}",
    ],
)
def test_a_key_that_we_never_write_is_not_read_as_one(path):
    assert SETTINGS.key_of(path) is None


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a b", "a/../b", "a?b", "ä"])
def test_a_prefix_that_would_make_bad_keys_is_refused(prefix):
    with pytest.raises(EntrySettingsError, match="--consul-namespace"):
        EntrySettings(prefix=prefix, name="us")


def test_the_name_comes_from_the_cluster_unless_given():
    uid = "0a1b2c3d-1111-2222-3333-444455556666"
    assert checked_name(None, cluster_uid=uid) == "factotum-operator-0a1b2c3d"
    assert checked_name("mine", cluster_uid=uid) == "mine"


def test_the_name_that_old_servers_share_must_be_forced():
    with pytest.raises(EntrySettingsError, match="--force-consul-name"):
        checked_name("factotum", cluster_uid="x")
    assert checked_name("factotum", cluster_uid="x", force=True) == "factotum"
    with pytest.raises(EntrySettingsError, match="empty"):
        checked_name(" ", cluster_uid="x")


@pytest.mark.parametrize(
    ("spec", "args"),
    [
        ({}, ()),
        ({"start": "echo beta"}, ("--start", "echo beta")),
        (
            {"env": {"token": "s3cret", "message": "hello"}},
            ("--env", '{"message":"***","token":"***"}'),
        ),
        (
            {"tags": {"b": "2", "a": "1"}, "constraints": {"host": "*"}},
            ("--tag", "a,1", "--tag", "b,2", "--constraint", "host,*"),
        ),
        (
            {"webhook": {"url": "http://c/", "maxStdouterrSize": 0, "heartbeatIntervalSeconds": 5}},
            ("--webhook", "http://c/", "--max-stdouterr-size", "0", "--heartbeat-interval", "5"),
        ),
        (
            {"webhook": {"urlFrom": {"secretKeyRef": {"name": "s", "key": "u"}}}},
            ("--webhook", "***"),
        ),
        ({"webhook": {"maxStdouterrSize": 5}}, ()),
    ],
)
def test_a_spec_becomes_the_command_line_that_asks_for_the_same(spec, args):
    assert factfile_args(spec) == args


def test_the_factfile_is_named_by_the_object_that_holds_it():
    reference = {"factfileFrom": {"configMapKeyRef": {"name": "jobs", "key": "echo.factfile"}}}
    assert factfile_path({"factfile": {}}, "pipelines", "echo") == "factotumjobs/pipelines/echo"
    assert (
        factfile_path(reference, "pipelines", "echo") == "configmaps/pipelines/jobs/echo.factfile"
    )
