"""Every path that we ask for: what is no name never becomes part of one. Pure."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.kube import errors, paths

RESOURCES = [paths.JOBS, paths.PODS, paths.CONFIG_MAPS, paths.EVENTS]
OF_THE_CLUSTER = [paths.NODES, paths.NAMESPACES]
NO_NAMES = [
    "",
    ".",
    "..",
    "../../other/configmaps/hidden",
    "a/b",
    "a%2fb",
    "a?x=1",
    "a#b",
    "a b",
    "a\n",
    "A",
    "ä",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a\0",
    "a" * 254,
    None,
    1,
    b"a",
    ["a"],
]
NO_NAMESPACES = [*(each for each in NO_NAMES if each is not None), "a.b", "a" * 64]
# What a clever name could be made of, beside any text at all.
PIECES = st.sampled_from(["..", ".", "/", "//", "%2e", "%2F", "?", "#", "a", "b-c", "\n", "other"])
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=8).map("".join))


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.plural)
def test_what_is_no_name_names_no_object(resource, name):
    with pytest.raises(paths.BadNameError):
        paths.item(resource, name, "pipelines")


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("resource", OF_THE_CLUSTER, ids=lambda r: r.plural)
def test_what_is_no_name_names_nothing_of_the_cluster_either(resource, name):
    with pytest.raises(paths.BadNameError):
        paths.item(resource, name)


@pytest.mark.parametrize("namespace", NO_NAMESPACES)
def test_what_is_no_namespace_is_refused_by_every_constructor(namespace):
    for build in (
        lambda: paths.collection(paths.PODS, namespace),
        lambda: paths.item(paths.PODS, "a", namespace),
        lambda: paths.job(namespace, "a"),
        lambda: paths.pod(namespace, "a"),
    ):
        with pytest.raises(paths.BadNameError):
            build()


def test_a_namespace_belongs_to_what_has_one_and_to_nothing_else():
    with pytest.raises(paths.BadNameError):
        paths.item(paths.PODS, "a")
    with pytest.raises(paths.BadNameError):
        paths.item(paths.NODES, "a", "pipelines")
    with pytest.raises(paths.BadNameError):
        paths.collection(paths.NODES, "pipelines")


def test_a_bad_name_is_a_request_that_the_server_would_not_take():
    assert issubclass(paths.BadNameError, errors.InvalidError)


def test_a_long_bad_name_is_not_told_whole():
    with pytest.raises(paths.BadNameError) as refused:
        paths.pod("pipelines", "x/" * 10_000)

    assert len(str(refused.value)) < 200


@given(namespace=TEXTS, name=TEXTS)
def test_whatever_is_asked_for_a_path_never_leaves_its_place(namespace, name):
    for resource in RESOURCES:
        try:
            path = paths.item(resource, name, namespace)
        except paths.BadNameError:
            continue
        assert path == f"{resource.root}/namespaces/{namespace}/{resource.plural}/{name}"
        assert not re.search(r"\.\.|//|[?#%\s]", path)
        assert path.count("/") == resource.root.count("/") + 4


@given(
    namespace=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True),
    name=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?(\.[a-z0-9]{1,5}){0,3}", fullmatch=True),
)
def test_what_is_a_name_stands_in_the_path_as_it_is(namespace, name):
    assert paths.pod(namespace, name) == f"/api/v1/namespaces/{namespace}/pods/{name}"
    assert paths.item(paths.NODES, name) == f"/api/v1/nodes/{name}"


@given(value=st.text(st.characters(exclude_categories=("Cs",))))
def test_no_value_of_a_query_becomes_another_parameter_or_a_path(value):
    path = paths.with_query(paths.collection(paths.PODS), {"labelSelector": value, "limit": 5})

    head, _, query = path.partition("?")
    assert head == "/api/v1/pods"
    assert len(query.split("&")) == (2 if value else 1)
    assert not set(query) & set("?#/ \n")


def test_a_query_without_values_is_none():
    pods = paths.collection(paths.PODS)

    assert paths.with_query(pods, {"labelSelector": "", "continue": ""}) == pods
    assert paths.with_query(pods, {"limit": 0}) == "/api/v1/pods?limit=0"


def test_a_status_is_below_its_object():
    job = paths.job("pipelines", "nightly")

    assert paths.status_of(job) == f"{job}/status"
