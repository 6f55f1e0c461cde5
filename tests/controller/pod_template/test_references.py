"""References between variables: a task sees what it would in any Pod of Kubernetes. Pure.

The kubelet's part is written down here once more, from its source (`third_party/forked/golang/
expansion` and `makeEnvironmentVariables`); that it is right a job on a real one shows.
"""

from hypothesis import given
from hypothesis import strategies as st

from factotum.controller.pod_template import environment
from factotum.core.wire import variables

SERVICE = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
OURS = dict.fromkeys(variables.OURS, "ours")


def expand(text, known):
    made, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            made += text[at]
            at += 1
        elif text[at + 1] == "(" and (end := text.find(")", at)) >= 0:
            name = text[at + 2 : end]
            made += known.get(name, f"$({name})")
            at = end + 1
        elif text[at + 1] == "$":
            made += "$"
            at += 2
        else:
            made += text[at : at + 2]
            at += 2
    return made


def kubelet(env, sources):
    """Return a container's variables, as a kubelet makes them."""
    made = {
        source.get("prefix", "") + key: v for source in sources for key, v in source["data"].items()
    }
    for entry in env:
        made[entry["name"]] = expand(entry["value"], SERVICE | made)
    return SERVICE | made


NAMES = st.sampled_from(
    ["A", "B", "a.b", "PATH", "KUBERNETES_SERVICE_HOST", "FACTOTUM_WEBHOOK_URL", "NOBODY", "é"]
)
PARTS = st.one_of(
    st.sampled_from(["$", "$$", "$(", ")", "(", "x", "", "\n", "$x", "$é"]),
    NAMES.map(lambda name: f"$({name})"),
    NAMES.map(lambda name: f"$$({name})"),
)
VALUES = st.lists(PARTS, max_size=6).map("".join)
KEYS = NAMES.filter(lambda name: not name.startswith("KUBERNETES_"))


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=6, unique_by=lambda pair: pair[0]),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=2),
)
def test_tasks_see_what_they_would_see_in_a_pod_without_us(pairs, data):
    env = [{"name": name, "value": value} for name, value in pairs]
    sources = [{"data": each} for each in data]
    expected = kubelet(env, sources)

    ours = [{"name": name, "value": value} for name, value in OURS.items()]
    there = kubelet(
        ours + environment.prefixed(env, has_sources=bool(sources)),
        environment.prefixed_sources(sources),
    )

    assert {name: there[name] for name in OURS} == OURS
    assert variables.task_environ(there) == expected


def test_a_reference_that_finds_nothing_stands_as_it_was_written():
    (entry,) = environment.prefixed([{"name": "A", "value": "$(NOBODY)"}], has_sources=True)

    assert entry["value"] == "$(FACTOTUM_TASK_NOBODY)"
    assert variables.task_environ({entry["name"]: entry["value"]}) == {"A": "$(NOBODY)"}
