"""What may be changed in a FactotumJob once it was created, and when. Real: API server, kubectl."""

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import ApiRefusedError, jobs_path

pytestmark = pytest.mark.cluster

CLAIM = {"id": "1", "podName": "p", "podUID": "u", "nodeName": "n"}


def patch(asked, namespace, subresource="", **change):
    asked.patch(jobs_path(namespace, "job") + subresource, change)


OPTIONAL = {
    "start": ("a", "b"),
    "env": ({"a": "b"}, {"a": "c"}),
    "envFrom": ([{"secretRef": {"name": "s"}}], []),
    "tags": ({"a": "b"}, {"a": "b", "c": "d"}),
    "constraints": ({"host": "*"}, {"host": "node-1"}),
    "image": ("i:1", "i:2"),
    "resources": ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
    "serviceAccountName": ("loader", "other"),
    "imagePullSecrets": ([{"name": "a"}], [{"name": "b"}]),
    "nodeSelector": ({"disk": "ssd"}, {"disk": "hdd"}),
    "tolerations": ([{"key": "a", "operator": "Exists"}], []),
    "podTemplate": ({"spec": {"hostname": "a"}}, {"spec": {"hostname": "b"}}),
}
SPECS = {
    "a field": ({"spec": {"hostname": "a"}}, {"spec": {"subdomain": "a"}}),
    "the half": ({"spec": {"hostname": "a"}}, {"metadata": {"labels": {"a": "b"}}}),
    "a label": (
        {"metadata": {"labels": {"a": "x"}}},
        {"metadata": {"labels": {"b": "x"}}},
    ),
    "a field further down": (
        {"spec": {"containers": [{"name": "factotum", "resources": {"limits": {"cpu": 1}}}]}},
        {"spec": {"containers": [{"name": "factotum", "resources": {"limits": {"gpu": 1}}}]}},
    ),
    "a volume's kind": (
        {"spec": {"volumes": [{"name": "a", "secret": {"optional": True}}]}},
        {"spec": {"volumes": [{"name": "a", "configMap": {"optional": True}}]}},
    ),
    "null for a value": (
        {"spec": {"securityContext": {"runAsUser": 1}}},
        {"spec": {"securityContext": {"runAsUser": None}}},
    ),
    "a value for null": (
        {"spec": {"securityContext": {"runAsUser": None}}},
        {"spec": {"securityContext": {"runAsUser": 1}}},
    ),
}


def cases():
    yield pytest.param("dryRun", False, True, id="dryRun-changed")
    yield pytest.param("scheduling", "Levels", "Eager", id="scheduling-changed")
    yield pytest.param("factfile", None, {"data": {"name": "other"}}, id="factfile-changed")
    for field, (one, other) in OPTIONAL.items():
        yield pytest.param(field, one, other, id=f"{field}-changed")
        yield pytest.param(field, None, one, id=f"{field}-added")
        yield pytest.param(field, one, None, id=f"{field}-removed")
    for field, inner in (("tags", "a"), ("env", "a"), ("constraints", "host")):
        before = OPTIONAL[field][0]
        yield pytest.param(field, before, {inner: None}, id=f"{field}-emptied")
        yield pytest.param(field, {}, before, id=f"{field}-filled")
    yield pytest.param("podTemplate", {}, {"spec": {"hostname": "a"}}, id="podTemplate-filled")


@pytest.mark.parametrize(("field", "before", "after"), cases())
def test_what_runs_cannot_be_changed(asked, namespace, field, before, after):
    asked.create_job(make_job(namespace, **({} if before is None else {field: before})))

    with pytest.raises(ApiRefusedError) as refused:
        patch(asked, namespace, spec={field: after})

    assert f"{field} cannot be changed; create another FactotumJob" in str(refused.value)


@pytest.mark.parametrize(("before", "after"), SPECS.values(), ids=SPECS.keys())
def test_a_part_of_the_template_under_another_name_is_a_change(asked, namespace, before, after):
    """The API server's rules compare objects by the fields that the definition knows."""
    asked.create_job(make_job(namespace, podTemplate=before))
    stored = asked.job(namespace)
    assert stored["spec"]["podTemplate"] == before
    stored["spec"]["podTemplate"] = after

    with pytest.raises(ApiRefusedError, match="podTemplate cannot be changed"):
        asked.request("PUT", jobs_path(namespace, "job"), stored)


REFERENCE = {"configMapKeyRef": {"name": "jobs", "key": "echo.factfile"}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"configMapKeyRef": {"name": "others"}}, "factfileFrom"),
        ({"configMapKeyRef": {"key": "other.factfile"}}, "factfileFrom"),
        (None, "factfile factfileFrom"),
    ],
)
def test_where_the_factfile_comes_from_cannot_be_changed(asked, namespace, change, field):
    asked.create_job(make_job(namespace, factfileFrom=REFERENCE))
    inline = {"factfile": make_factfile(make_task("a"))} if change is None else {}

    with pytest.raises(ApiRefusedError) as refused:
        patch(asked, namespace, spec=inline | {"factfileFrom": change})

    assert f"{field} cannot be changed; create another FactotumJob" in str(refused.value)


def test_a_status_patch_may_not_bring_a_change_of_the_spec_with_it(asked, namespace):
    asked.create_job(make_job(namespace, start="a"))

    patch(asked, namespace, "/status", status={"attempt": 1}, spec={"start": "b"})

    assert asked.job(namespace)["spec"]["start"] == "a"


def test_everything_that_was_changed_is_named(asked, namespace):
    asked.create_job(make_job(namespace, start="a", tags={"a": "b"}))

    with pytest.raises(ApiRefusedError, match="start tags dryRun cannot be changed"):
        patch(asked, namespace, spec={"start": "b", "tags": {"a": "c"}, "dryRun": True})


@pytest.mark.parametrize("status", [{}, {"state": "DONE", "outcome": "FAILED"}, None])
def test_a_change_of_the_spec_is_refused_whatever_status_comes_with_it(asked, namespace, status):
    asked.create_job(make_job(namespace, start="a"))
    patch(asked, namespace, "/status", status={"attempt": 1})
    job = asked.job(namespace)
    job["spec"]["start"], job["status"] = "b", status

    with pytest.raises(ApiRefusedError, match="start cannot be changed"):
        asked.request("PUT", jobs_path(namespace, "job"), job)


def test_a_status_that_is_taken_away_opens_nothing(asked, namespace):
    asked.create_job(make_job(namespace, start="a"))
    patch(asked, namespace, "/status", status=None)

    with pytest.raises(ApiRefusedError, match="start cannot be changed"):
        patch(asked, namespace, spec={"start": "b"})


def test_a_label_may_come_at_any_time(asked, namespace):
    asked.create_job(make_job(namespace, start="a", tags={"a": "b"}))
    patch(asked, namespace, "/status", status={"state": "QUEUED", "outcome": "WAITING"})

    patch(asked, namespace, metadata={"labels": {"team": "data"}})

    assert asked.job(namespace)["metadata"]["labels"] == {"team": "data"}


def test_a_task_added_to_the_factfile_is_a_change(asked, namespace):
    asked.create_job(make_job(namespace, make_factfile(make_task("a"))))

    with pytest.raises(ApiRefusedError, match="factfile cannot be changed"):
        patch(asked, namespace, spec={"factfile": make_factfile(make_task("a"), make_task("b"))})


def test_applying_the_same_again_changes_nothing(api, namespace):
    job = make_job(namespace, tags={"a": "b"}, env={"c": "d"})
    api.apply(job)

    assert "unchanged" in api.apply(job)


def test_wish_and_time_to_live_can_be_changed_at_any_time(asked, namespace):
    asked.create_job(make_job(namespace))
    patch(asked, namespace, "/status", status={"claim": CLAIM})

    patch(asked, namespace, spec={"desiredState": "Cancel", "ttlSecondsAfterFinished": 60})

    assert asked.job(namespace)["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            {"webhook": {"url": "http://other/"}}, "the webhook cannot be changed", id="webhook"
        ),
        pytest.param({"retry": {"limit": 2}}, "retry cannot be changed", id="retry"),
        pytest.param({"activeDeadlineSeconds": 9}, "the deadline cannot be changed", id="deadline"),
    ],
)
def test_settings_of_the_attempt_can_be_changed_until_it_is_claimed(
    asked, namespace, change, words
):
    asked.create_job(make_job(namespace, webhook={"url": "http://one/"}, retry={"limit": 0}))
    patch(asked, namespace, spec={"webhook": {"url": "http://two/"}, "retry": {"limit": 1},
                                "activeDeadlineSeconds": 5})  # fmt: skip
    patch(asked, namespace, "/status", status={"claim": CLAIM})

    with pytest.raises(ApiRefusedError, match=words):
        patch(asked, namespace, spec=change)


def test_state_and_outcome_must_fit(asked, namespace):
    asked.create_job(make_job(namespace))

    with pytest.raises(ApiRefusedError, match="state and outcome contradict each other"):
        patch(asked, namespace, "/status", status={"state": "DONE", "outcome": "RUNNING"})


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="all of it goes"),
        pytest.param({"claim": None}, id="the claim goes"),
        pytest.param({"claim": CLAIM | {"id": "0" * 32}}, id="another claim"),
        pytest.param({"claim": None, "launch": 1, "attempt": 1}, id="an older launch"),
    ],
)
def test_a_claim_stays_until_a_new_launch_or_its_tasks_would_run_twice(asked, namespace, status):
    asked.create_job(make_job(namespace))
    working = {"state": "WORKING", "outcome": "RUNNING", "attempt": 1, "launch": 1, "claim": CLAIM}
    patch(asked, namespace, "/status", status=working)

    with pytest.raises(ApiRefusedError, match="a claim stays until a new launch"):
        patch(asked, namespace, "/status", status=status)
    patch(asked, namespace, "/status", status={"progress": "1/2"})
    patch(asked, namespace, "/status", status={"claim": None, "launch": 2})

    assert "claim" not in asked.job(namespace)["status"]


def test_a_verdict_changes_only_by_a_new_attempt(asked, namespace):
    asked.create_job(make_job(namespace))
    done = {"state": "DONE", "outcome": "FAILED", "attempt": 1}
    patch(asked, namespace, "/status", status=done)

    with pytest.raises(ApiRefusedError, match="a verdict changes only by a new attempt"):
        patch(asked, namespace, "/status", status={"outcome": "SUCCEEDED"})
    again = {"state": "QUEUED", "outcome": "WAITING", "attempt": 2}
    patch(asked, namespace, "/status", status=again)

    assert asked.job(namespace)["status"]["attempt"] == 2
