"""Cases of --env, tags and templates that no recorded run is named after (R-031 to R-059).

Real: the installed command and its shell; what a template gave is read from a task's output.
"""

import base64
import json

import pytest

from support.builders.factfiles import factfile, task
from support.http.receivers import Receiver

X = "<a&b>'q"
NOT_VALID = "'job' is not a valid factotum factfile: "


@pytest.fixture
def prints(factotum, tmp_path):
    """Run one task that echoes `text`, and return the run."""

    def run(text, env=None, *args, executor="shell"):
        shows = task("t", "printf '%s\\n'", text)
        (tmp_path / "job").write_text(factfile("j", shows | {"executor": executor}))
        values = [] if env is None else ["--env", json.dumps(env)]
        return factotum("run", "job", *values, *args)

    return run


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a":1}', id="R-031.number"),
        pytest.param('{"a":{"b":"c"}}', id="R-031.object"),
        pytest.param("[]", id="R-031.array"),
        pytest.param('"x"', id="R-031.string"),
        pytest.param("null", id="R-031.null"),
        pytest.param("", id="R-031.empty"),
    ],
)
def test_env_takes_an_object_of_strings_only(text, factotum, tmp_path):
    (tmp_path / "job").write_text(factfile("j"))

    run = factotum("run", "job", "--env", text)

    wanted = f"Supplied string '{text}' is not valid JSON: decoder error"
    assert (run.exit, run.out) == (3, wanted)


@pytest.mark.parametrize(
    ("text", "env", "shown"),
    [
        pytest.param("hello {{name}}!", {"name": "Ed"}, "hello Ed!", id="R-033"),
        pytest.param("{{x}}", {"x": X}, "&lt;a&amp;b&gt;&#39;q", id="R-034"),
        pytest.param("{{{x}}}", {"x": X}, X, id="R-035.triple"),
        pytest.param("{{&x}}", {"x": X}, X, id="R-035.ampersand"),
        pytest.param("[{{missing}}]", {}, "[]", id="R-036"),
        pytest.param("{{ x }}", {"x": "v"}, "v", id="R-037.double"),
        pytest.param("{{& x }}", {"x": "v"}, "v", id="R-037.ampersand"),
        pytest.param("{{{ x }}}", {"x": "v"}, "v", id="R-037.triple"),
        pytest.param("{{a.b}}", {"a.b": "w"}, "", id="R-038"),
        pytest.param("x{{! hi }}y", {}, "xy", id="R-039"),
        pytest.param("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {}, "no", id="R-040"),
        pytest.param("{{#x}}yes{{/x}}{{^x}}no{{/x}}", {"x": "1"}, "yes", id="R-041"),
        pytest.param("{{v.}}", {"v": "1"}, "1", id="R-056.final-dot"),
        pytest.param("{{v\n}}", {"v": "1"}, "1", id="R-056.line-feed"),
        pytest.param("{{.v}}", {"v": "1"}, "", id="R-056.first-dot"),
        pytest.param("{{v v}}", {"v": "1"}, "", id="R-056.two-words"),
        pytest.param("{{*v}}", {"v": "1"}, "", id="R-056.star"),
        pytest.param("{{a..b}}", {"a": "1"}, "", id="R-056.two-dots"),
        pytest.param("{{!}}", {}, "", id="R-056.empty-comment"),
        pytest.param("{{{{v}}}}", {"v": "1"}, "}", id="R-056.four-braces"),
    ],
)
def test_template_gives(text, env, shown, prints):
    run = prints(text, env)

    assert run.exit == 0
    assert run.out.splitlines()[0] == f"[t] {shown}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{x", id="R-042.open"),
        pytest.param("{{}}", id="R-042.empty"),
        pytest.param("{{ }}", id="R-042.blank"),
        pytest.param("{{x} ", id="R-042.half-closed"),
        pytest.param("{{.}}", id="R-042.dot"),
    ],
)
def test_broken_template_is_an_error_of_the_factfile(text, prints):
    run = prints(text)

    assert run.exit == 1
    assert run.out.startswith(NOT_VALID)
    assert len(run.out) > len(NOT_VALID) + 10  # and a reason


@pytest.mark.parametrize("text", [pytest.param("a}}b {not} ${HOME}", id="R-043")])
def test_braces_that_are_no_tag_reach_the_shell(text, prints, tmp_path):
    run = prints(text)

    assert run.out.splitlines()[0] == f"[t] a}}}}b {{not}} {tmp_path}"


@pytest.mark.parametrize("case", [pytest.param(None, id="R-057")])
def test_changed_delimiters_last_as_long_as_the_text_they_stand_in(case, factotum, tmp_path):
    first, second = task("1", "echo", "{{=<% %>=}}<%v%>"), task("2", "echo", "{{v}}", after=["1"])
    (tmp_path / "job").write_text(factfile("j", first, second))

    with Receiver() as receiver:
        run = factotum("run", "job", "--env", '{"v":"1"}', "--webhook", receiver.url)

    whole = json.loads(receiver.requests[0].body)["data"]["factfile"]
    assert run.out.startswith("[1] 1\n[2] 1\n")
    assert '"arguments":["{{v}}"]' in base64.b64decode(whole).decode()


@pytest.mark.parametrize("case", [pytest.param(None, id="R-058")])
def test_open_tag_in_the_executor_is_an_error(case, prints):
    run = prints("x", executor="{{x")

    assert run.exit == 1
    assert run.out.startswith(NOT_VALID)


@pytest.mark.parametrize("case", [pytest.param(None, id="R-059")])
def test_values_are_not_quoted_for_the_shell(case, prints):
    run = prints("{{{x}}}", {"x": 'a"; echo "b'})

    assert run.out.splitlines()[:2] == ["[t] a", "[t] b"]
