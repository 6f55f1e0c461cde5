"""What controller and runner tell each other: the work order, and the variables of a Pod. Pure."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core.wire import variables
from factotum.core.wire.orders import WorkOrder, work_order
from support.builders.jobs import make_report

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=4)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "env": MAPS,
        "tags": MAPS,
        "start": TEXTS,
        "scheduling": st.sampled_from(["Levels", "Eager"]),
        "webhook": st.fixed_dictionaries(
            {},
            optional={
                "url": TEXTS,
                "urlFrom": st.just({"secretKeyRef": {"name": "hook", "key": "url"}}),
                "maxStdouterrSize": st.integers(0, 2**31 - 1),
                "heartbeatIntervalSeconds": st.integers(0, 2**31 - 1),
            },
        ),
        "factfile": st.just({"data": {}}),
        "constraints": st.just({"host": "*"}),
    },
)


def sent(spec, factfile="{}", digest="ab" * 32):
    """Return what a runner reads of a spec, having come as JSON."""
    body = work_order("nightly", spec, factfile, digest)
    return WorkOrder(json.loads(json.dumps(body)))


@given(spec=SPECS, factfile=TEXTS)
def test_a_work_order_arrives_as_it_was_sent(spec, factfile):
    order = sent(spec, factfile)

    assert (order.factfile, order.factfile_hash) == (factfile, "ab" * 32)
    assert order.env == spec.get("env", {})
    assert order.tags == spec.get("tags", {})
    assert order.start == spec.get("start")
    assert order.is_eager == (spec.get("scheduling") == "Eager")
    webhook = spec.get("webhook")
    if webhook:
        assert order.webhook == {key: webhook[key] for key in webhook if key != "urlFrom"}
    else:
        assert order.webhook is None


def test_results_that_are_kept_arrive_with_what_is_known_of_them():
    report = make_report("SWN", codes={0: 0, 2: 9}, started={0: 5}, seconds={2: 1.5})
    body = work_order("nightly", {}, "{}", "ab" * 32, kept=report)

    kept = WorkOrder(json.loads(json.dumps(body))).kept

    assert kept == {
        "states": "SWN",
        "codes": {"0": 0, "2": 9},
        "started": {"0": 5},
        "seconds": {"2": 1.5},
    }
    assert sent({}).kept is None


def test_a_job_that_asks_for_nothing_runs_by_levels_without_a_webhook():
    order = sent({})

    assert (order.is_eager, order.webhook, order.start) == (False, None, None)
    assert (order.env, order.tags) == ({}, {})


def test_a_webhook_whose_address_is_secret_is_still_one():
    order = sent({"webhook": {"urlFrom": {"secretKeyRef": {"name": "hook", "key": "url"}}}})

    assert order.webhook == {}


def test_nothing_else_of_the_spec_goes_to_the_pod():
    body = work_order("nightly", {"constraints": {"host": "db-7"}, "envFrom": ["x"]}, "{}", "d")

    assert set(body) == {
        "factfile",
        "factfileHash",
        "jobName",
        "env",
        "tags",
        "start",
        "scheduling",
        "webhook",
    }
    assert "db-7" not in json.dumps(body)


def test_an_order_of_an_older_operator_is_read_too():
    order = WorkOrder({"factfile": "{}", "factfileHash": "d"})

    assert (order.env, order.tags, order.is_eager, order.webhook) == ({}, {}, False, None)


# --- the tasks' environment -----------------------------------------------------------------------


@pytest.mark.parametrize("name", variables.OURS)
def test_what_steers_the_runner_is_hidden_from_the_tasks(name):
    assert variables.task_environ({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_what_is_meant_for_the_tasks_wins_over_the_images_own():
    given = {"PATH": "/bin", "LANG": "C", "FACTOTUM_TASK_PATH": "/mine"}

    assert variables.task_environ(given) == {"PATH": "/mine", "LANG": "C"}


@pytest.mark.parametrize("name", [*variables.OURS, "LD_PRELOAD", "PYTHONPATH", "PATH"])
def test_whatever_a_secrets_key_is_called_it_reaches_the_tasks_and_never_the_runner(name):
    environ = {variables.TASK_PREFIX + name: "a user's"}

    assert name not in environ
    assert variables.task_environ(environ) == {name: "a user's"}


def test_the_prefix_is_taken_off_once():
    twice = {variables.TASK_PREFIX * 2 + "A": "x"}

    assert variables.task_environ(twice) == {variables.TASK_PREFIX + "A": "x"}


def test_the_bare_prefix_is_no_variable():
    assert variables.task_environ({variables.TASK_PREFIX: "x"}) == {}


def test_what_a_runner_needs_is_among_what_is_ours():
    assert set(variables.REQUIRED) < set(variables.OURS)
    assert not [name for name in variables.OURS if name.startswith(variables.TASK_PREFIX)]
