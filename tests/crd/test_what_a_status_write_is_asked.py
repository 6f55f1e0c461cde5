"""Rules that a status write need not pay for: they tell that it is one, or that a job is not new.

The definition alone is read here; that the rules hold on the API server, the files beside show.
"""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.cluster.clusters import ROOT

IS_A_STATUS_WRITE = "self.status != oldSelf.status || "
IS_NOT_NEW = "oldSelf.hasValue() || "
SELDOM_AND_SMALL = ("spec.webhook", "spec.envFrom[]")
RULES = "x-kubernetes-validations"


@functools.cache
def definition() -> dict[str, Any]:
    text = (ROOT / "crds" / "factotumjobs.yaml").read_text()
    raw = yaml.load(text, Loader=yaml.CSafeLoader)
    schema: dict[str, Any] = raw["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def rules_below(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for rule in schema.get(RULES, ()):
        yield path, rule
    for name, field in schema.get("properties", {}).items():
        yield from rules_below(field, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from rules_below(schema[part], f"{path}[]")


@pytest.mark.parametrize("rule", definition()[RULES], ids=lambda rule: rule["message"][:30])
def test_what_may_change_is_not_asked_of_a_status_write(rule):
    assert rule["rule"].startswith(IS_A_STATUS_WRITE)


def below_the_spec():
    for path, rule in rules_below(definition()["properties"]["spec"], "spec"):
        if not path.startswith(SELDOM_AND_SMALL):
            yield pytest.param(path, rule, id=f"{path}: {rule['message'][:40]}")


@pytest.mark.parametrize(("path", "rule"), below_the_spec())
def test_a_rule_about_the_spec_is_asked_only_when_the_job_is_made(path, rule):
    assert rule["rule"].startswith(IS_NOT_NEW), path
    assert rule["optionalOldSelf"] is True


def test_no_rule_is_asked_for_each_of_many():
    paths = [path for path, _ in rules_below(definition(), "")]

    assert {path.lstrip(".") for path in paths if "[]" in path} == {"spec.envFrom[]"}
