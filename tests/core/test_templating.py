"""The template engine against the observed behaviour of the original. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.core import errors
from factotum.core.factfile import templating

VALUES = {"x": "<a&b>'q\"", "v": "V", "tag:env": "prod", "a.b": "w", "empty": ""}


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("hello {{v}}!", "hello V!"),
        ("{{x}}", "&lt;a&amp;b&gt;&#39;q&quot;"),
        ("{{{x}}}", VALUES["x"]),
        ("{{&x}}", VALUES["x"]),
        ("{{ v }}{{& v }}{{{ v }}}", "VVV"),
        ("[{{missing}}]", "[]"),
        ("{{a.b}}", ""),
        ("{{tag:env}}", "prod"),
        ("{{v.}}", "V"),
        ("{{v\n}}", "V"),
        ("{{.v}}{{v v}}{{*v}}{{%v}}{{<v}}{{a..b}}{{!}}{{ &v }}", ""),
        ("{{{{v}}}}", "}"),
        ("x{{! hi }}y", "xy"),
        ("{{#m}}yes{{/m}}{{^m}}no{{/m}}", "no"),
        ("{{#v}}yes{{/v}}{{^v}}no{{/v}}", "yes"),
        ("{{#v}}[{{.}}]{{/v}}", "[V]"),
        ("{{#empty}}yes{{/empty}}{{^empty}}no{{/empty}}", ""),
        ("{{#v}}{{^m}}in{{/m}}{{#m}}out{{/m}}{{/v}}", "in"),
        ("{{>file}}", ""),
        ("{{=<% %>=}}<%v%>{{v}}", "V{{v}}"),
        ("{{=<% %>=}}<<%v%>", "<<%v%>"),
        ("{{=| |=}}|v|", "V"),
        ("{{=<% %>=}}<%={{ }}=%>{{v}}", "V"),
        ("{ } }} {x} ${HOME} {", "{ } }} {x} ${HOME} {"),
        ("{{v}", None),
        ("a {{! alone? }}\nb", "a \nb"),
        ("  {{! alone }}\nb", "b"),
        ("  {{! alone }}\r\nb", "b"),
        ("a\n  {{! alone }}\nb", "a\nb"),
        ("{{#v}}\nb\n{{/v}}\n", "b\n"),
        ("  {{!a}}\n{{!b}}\nx", "\nx"),
    ],
)
def test_templates_render_as_in_the_original(template, result):
    if result is None:
        with pytest.raises(errors.TemplateError):
            templating.render(template, VALUES)
    else:
        assert templating.render(template, VALUES) == result


@pytest.mark.parametrize(
    "template",
    [
        "{{x",
        "{{}}",
        "{{ }}",
        "{{x}y",
        "{{.}}",
        "{{{x}}",
        "{{{}}}",
        "{{&}}",
        "{{#x}}",
        "{{^m}}",
        "{{/x}}",
        "{{#x}}{{/y}}",
        "{{#x}}{{#y}}{{/x}}{{/y}}",
        "{{=<%}}",
        "{{=<% %>}}",
        "{{= =}}",
        "{{#m}}{{x{{/m}}",
        "{{>}}",
    ],
)
def test_what_crashes_the_original_is_an_error(template):
    with pytest.raises(errors.TemplateError) as caught:
        templating.render(template, VALUES)

    assert template in str(caught.value)


def test_values_are_not_rendered_again():
    assert templating.render("{{{x}}}", {"x": "{{v}}", "v": "V"}) == "{{v}}"


@given(st.text(alphabet="{}#^/!&>= .xv\n\r|", max_size=24))
def test_any_text_renders_or_is_an_error(template):
    try:
        result = templating.render(template, VALUES)
    except errors.TemplateError:
        return
    assert isinstance(result, str)


@given(st.text())
def test_text_without_two_braces_is_literal(text):
    text = text.replace("{{", "")

    assert "{{" in text or templating.render(text, VALUES) == text
