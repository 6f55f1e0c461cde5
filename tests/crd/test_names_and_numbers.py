"""What the schema takes as a name of another object, and as a number. Real: the API server.

A name that is one can only name an object of the job's own namespace, whatever path is built of it.
"""

import pytest

from support.builders.manifests import make_job
from support.cluster.kube_api import ApiRefusedError, jobs_path

pytestmark = pytest.mark.cluster

WHERE_NAMES_STAND = {
    "spec.factfileFrom.configMapKeyRef.name": lambda name: {
        "factfileFrom": {"configMapKeyRef": {"name": name, "key": "k"}}
    },
    "spec.envFrom[0].secretRef.name": lambda name: {"envFrom": [{"secretRef": {"name": name}}]},
    "spec.envFrom[0].configMapRef.name": lambda name: {
        "envFrom": [{"configMapRef": {"name": name}}]
    },
    "spec.webhook.urlFrom.secretKeyRef.name": lambda name: {
        "webhook": {"urlFrom": {"secretKeyRef": {"name": name, "key": "k"}}}
    },
}
WHERE_KEYS_STAND = {
    "spec.factfileFrom.configMapKeyRef.key": lambda key: {
        "factfileFrom": {"configMapKeyRef": {"name": "n", "key": key}}
    },
    "spec.webhook.urlFrom.secretKeyRef.key": lambda key: {
        "webhook": {"urlFrom": {"secretKeyRef": {"name": "n", "key": key}}}
    },
}
NO_NAMES = {
    "empty": "",
    "up": "../../kube-system/configmaps/hidden",
    "dots": "..",
    "dot": ".",
    "slash": "a/b",
    "backslash": "a\\b",
    "escaped-slash": "..%2fsecrets%2fhidden",
    "escaped-dots": "%2e%2e",
    "query": "a?watch=1",
    "fragment": "a#b",
    "parameter": "a;b",
    "upper-case": "Jobs",
    "underscore": "my_jobs",
    "blank": "my jobs",
    "blank-before": " jobs",
    "line-feed": "jobs\n",
    "null": "jobs\x00",
    "dash-first": "-jobs",
    "dash-last": "jobs-",
    "two-dots": "a..b",
    "letter-like-ascii": "jоbs",  # noqa: RUF001 - a Cyrillic letter
    "full-width-slash": "a\uff0fb",
    "too-long": "a" * 254,
}
NO_KEYS = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "dots-first": "..data",
    "slash": "a/b",
    "up": "../token",
    "escaped-slash": "a%2fb",
    "blank": "a b",
    "line-feed": "a\n",
    "comma": "a,b",
    "umlaut": "ä",
    "too-long": "a" * 254,
}
NO_PREFIXES = {
    "equals": "A=",
    "line-feed": "A\n",
    "blank": "A B",
    "digit-first": "1A",
    "dots": "..",
    "dollar": "$(A)",
    "umlaut": "Ä",
}
NO_HOSTS = {
    "slash": "../nodes/fake-1",
    "escaped": "%2e%2e",
    "query": "node?x=1",
    "blank": "node 1",
    "blank-after": "node-1 ",
    "line-feed": "node-1\n",
    "null": "node\x00",
    "two-hosts": "node-1,node-2",
    "star-within": "node-*",
    "too-long": "n" * 254,
}
NO_IMAGES = {"empty": "", "blank": "my image", "line-feed": "a\n", "option": "--privileged"}
MOST = 2147483647


def cases(places, values):
    for path, spec_of in places.items():
        for kind, value in values.items():
            yield pytest.param(path, spec_of(value), id=f"{path.rsplit('.', 3)[-2]}-{kind}")


REFUSED = [
    *cases(WHERE_NAMES_STAND, NO_NAMES),
    *cases(WHERE_KEYS_STAND, NO_KEYS),
    *cases(
        {"spec.envFrom[0].prefix": lambda p: {"envFrom": [
            {"prefix": p, "secretRef": {"name": "s"}}]}},
        NO_PREFIXES,
    ),
    *cases({"spec.constraints.host": lambda host: {"constraints": {"host": host}}}, NO_HOSTS),
    *cases({"spec.image": lambda image: {"image": image}}, NO_IMAGES),
]  # fmt: skip


@pytest.mark.parametrize(("path", "spec"), REFUSED)
def test_what_is_no_name_is_refused_with_its_path(asked, namespace_of_names, path, spec):
    with pytest.raises(ApiRefusedError) as refused:
        asked.create_job(make_job(namespace_of_names, **spec))

    said = str(refused.value)
    assert f"{path}: " in said
    assert "should match" in said or "Too long" in said


@pytest.mark.parametrize("name", ["a", "0", "jobs", "my-jobs.v1", "a" * 253, "1.2.3"])
def test_every_name_that_kubernetes_takes_is_taken(asked, namespace_of_names, name):
    for spec_of in WHERE_NAMES_STAND.values():
        dry_run(asked, make_job(namespace_of_names, **spec_of(name)))


@pytest.mark.parametrize(
    "key", ["a", ".a", "echo.factfile", "A_b-c.D", "-", "_", "a..b", ".dockercfg", "a" * 253]
)
def test_every_key_that_kubernetes_takes_is_taken(asked, namespace_of_names, key):
    for spec_of in WHERE_KEYS_STAND.values():
        dry_run(asked, make_job(namespace_of_names, **spec_of(key)))


@pytest.mark.parametrize("prefix", ["", "X_", "db.", "a-b", "_", ".a"])
def test_every_prefix_that_makes_a_variables_name_is_taken(asked, namespace_of_names, prefix):
    source = {"prefix": prefix, "configMapRef": {"name": "vars"}}

    dry_run(asked, make_job(namespace_of_names, envFrom=[source]))


@pytest.mark.parametrize(
    "host",
    ["*", "", "node-1", "HOST.odd", "192.0.2.7", "2001:db8::7", "my_host", "no-such-host.invalid",
     "bücher.example", "例え.テスト", "localhost."],
)  # fmt: skip
def test_every_host_that_the_command_line_could_mean_is_taken(asked, namespace_of_names, host):
    dry_run(asked, make_job(namespace_of_names, constraints={"host": host}))


@pytest.mark.parametrize(
    "image",
    ["busybox", "registry.example.org:5000/a/b_c:v1.2-3", "[::1]:5000/a", "a@sha256:" + "0" * 64],
)
def test_every_reference_to_an_image_is_taken(asked, namespace_of_names, image):
    dry_run(asked, make_job(namespace_of_names, image=image))


def test_variables_and_tags_are_free_text(asked, namespace_of_names):
    values = {"a": "", "b": "  ../x ", "c": "{{{}}} $(x) `y`", "d e": "ä\n\t", "..": "/", "": "x"}
    tags = {"a": "", "../b": "c/d?e=%2f", "Ä b": "ö\nü", "{{x}}": '"'}

    dry_run(asked, make_job(namespace_of_names, env=values, tags=tags))


NUMBERS = [
    ("activeDeadlineSeconds", lambda n: {"activeDeadlineSeconds": n}, 1, MOST),
    ("ttlSecondsAfterFinished", lambda n: {"ttlSecondsAfterFinished": n}, 0, MOST),
    (
        "webhook.maxStdouterrSize",
        lambda n: {"webhook": {"url": "http://x", "maxStdouterrSize": n}},
        0,
        MOST,
    ),
    (
        "webhook.heartbeatIntervalSeconds",
        lambda n: {"webhook": {"url": "http://x", "heartbeatIntervalSeconds": n}},
        0,
        MOST,
    ),
    ("retry.limit", lambda n: {"retry": {"limit": n}}, 0, 100),
    ("retry.backoffSeconds", lambda n: {"retry": {"backoffSeconds": n}}, 0, 86400),
]


@pytest.mark.parametrize(("path", "spec_of", "least", "most"), NUMBERS)
def test_a_number_has_bounds_on_both_sides(asked, namespace_of_names, path, spec_of, least, most):
    for number in (least, most):
        dry_run(asked, make_job(namespace_of_names, **spec_of(number)))
    for number, words in (
        (least - 1, f"should be greater than or equal to {least}"),
        (most + 1, f"should be less than or equal to {most}"),
        (2**63, "less than or equal to"),
    ):
        with pytest.raises(ApiRefusedError) as refused:
            dry_run(asked, make_job(namespace_of_names, **spec_of(number)))
        assert f"spec.{path}: " in str(refused.value)
        assert words in str(refused.value)


def dry_run(asked, job):
    path = jobs_path(job["metadata"]["namespace"])
    asked.create(f"{path}?dryRun=All&fieldValidation=Strict", job)


@pytest.fixture(scope="module")
def namespace_of_names(asked):
    """Stand for all cases: nothing stays in it."""
    asked.create("/api/v1/namespaces", {"metadata": {"name": "names-and-numbers"}})
    return "names-and-numbers"
