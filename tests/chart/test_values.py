"""The chart's values: each described, each in the schema, and nothing else taken. Real: helm."""

import importlib.util
import json
from typing import Any

import pytest
import yaml

from support.cluster.clusters import ROOT

CHART = ROOT / "charts" / "factotum-operator"
TEXT = (CHART / "values.yaml").read_text()
VALUES = yaml.safe_load(TEXT)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
PROGRAM = ROOT / "hack" / "chart_values.py"


def program():
    spec = importlib.util.spec_from_file_location("chart_program", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    """List the schema's values: a map is gone into if it has no words of its own."""
    found = []
    for name, part in schema["properties"].items():
        place = f"{path}.{name}".lstrip(".")
        inner = part.get("properties") and place not in DESCRIBED
        found += leaves(part, place) if inner else [place]
    return found


def at(place: str, values: Any) -> Any:
    for key in place.split("."):
        values = values[key]
    return values


DESCRIBED = {each.path: each for each in program().values_of(TEXT)}


def test_every_value_is_described_and_in_the_schema_and_no_other():
    in_schema = set(leaves(SCHEMA)) - {"global"}

    assert set(DESCRIBED) == in_schema
    assert len(in_schema) > 80


def test_every_value_has_a_default_of_the_form_that_the_reference_shows():
    for place, value in DESCRIBED.items():
        shown = yaml.safe_load(value.default) if value.default else at(place, VALUES)
        assert at(place, VALUES) == shown


def test_the_reference_and_the_schemas_words_are_those_of_the_values():
    values = list(DESCRIBED.values())
    readme = (CHART / "README.md").read_text()

    assert program().with_table(readme, values) == readme, "run `make values`"
    assert program().described(json.loads(json.dumps(SCHEMA)), values) == SCHEMA, (
        "run `make values`"
    )


FREE = (
    "/global",
    "/runner/podTemplate/spec",
    "/gateway/factfiles/items/volume",
    "/gateway/sidecars/items",
)
"""Helm's own; a Pod, of which the operator knows each field and says what is wrong; and parts of a
Pod, which the API server checks when the Deployment is made."""


def free_maps(schema: Any, path: str = "") -> list[str]:
    """List the maps that take any name."""
    if isinstance(schema, list):
        return [found for n, part in enumerate(schema) for found in free_maps(part, f"{path}/{n}")]
    if not isinstance(schema, dict):
        return []
    found = [path] if schema.get("type") == "object" and "properties" not in schema else []
    found = [each for each in found if not isinstance(schema.get("additionalProperties"), dict)]
    if "properties" in schema and schema.get("additionalProperties") is not False:
        found.append(path)
    for name, part in schema.items():
        inner = path if name in ("properties", "definitions") else f"{path}/{name}"
        found += free_maps(part, inner)
    return found


def test_no_map_takes_names_that_nobody_knows():
    assert [each for each in free_maps(SCHEMA) if each not in FREE] == []
    assert free_maps({"properties": {"a": {"type": "object"}}}) == ["", "/a"]


def test_what_older_charts_lack_is_filled_in_as_values_say():
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    block = helpers.partition('define "factotum-operator.added" -}}')[2].partition("{{- end }}")[0]

    def same(part, whole):
        for key, value in part.items():
            if isinstance(value, dict) and value:
                same(value, whole[key])
            else:
                assert whole[key] == value, key

    same(yaml.safe_load(block), VALUES)


def test_every_template_fills_in_first():
    for template in (CHART / "templates").rglob("*"):
        if template.is_file() and not template.name.startswith("_"):
            first = template.read_text().splitlines()[0]
            assert first == '{{- include "factotum-operator.complete" . }}', template


@pytest.mark.parametrize("missing", ["metrics", "consul", "topologySpreadConstraints"])
def test_values_that_an_older_chart_lacks_do_not_stop_the_new_one(render, missing):
    """`--reuse-values` brings the older chart's values alone: as if new ones were taken away."""
    lacking = {
        "metrics": ["metrics.serviceMonitor=null", "metrics.prometheusRule=null",
                    "metrics.dashboard=null"],
        "consul": ["consul.token=null", "consul.tls=null", "image.digest=null",
                   "runner.image.digest=null", "consul.image.digest=null", "consul.enabled=true"],
        "topologySpreadConstraints": ["topologySpreadConstraints=null", "commonLabels=null",
                                      "podDisruptionBudget=null", "fullnameOverride=null"],
    }[missing]  # fmt: skip

    assert render(*lacking) == render(*(each for each in lacking if not each.endswith("=null")))


WRONG = (
    ("maxWorkers=0", "/maxWorkers"),
    ("maxWorkers=many", "/maxWorkers"),
    ("maxWorkrs=1", "maxWorkrs"),
    ("metrics.prot=1", "/metrics"),
    ("metrics.serviceMonitor.intervall=1m", "/metrics/serviceMonitor"),
    ("metrics.serviceMonitor.interval=soon", "/metrics/serviceMonitor/interval"),
    ("metrics.port=80", "/metrics/port"),
    ("metrics.allowFrom[0].podSelectr.a=b", "/metrics/allowFrom/0"),
    ("logFormat=xml", "/logFormat"),
    ("runner.podTemplate.kind=Pod", "/runner/podTemplate"),
    ("runner.resources.limit.cpu=1", "/runner/resources"),
    ("consul.address=http://consul:8500", "/consul/address"),
    ("consul.token.secretName=A_B", "/consul/token/secretName"),
    ("consul.tls.insecure=true", "/consul/tls"),
    ("replicas=-1", "/replicas"),
    ("replicas=two", "/replicas"),
    ("claims.url=http://x", "/claims/url"),
    ("claims.port=80", "/claims/port"),
    ("admission.timeoutSeconds=11", "/admission/timeoutSeconds"),
    ("image.digest=latest", "/image/digest"),
    ("image.repository=", "/image/repository"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
    ("imagePullSecrets[0].nam=x", "/imagePullSecrets/0"),
    ("namespaces={Upper}", "/namespaces/0"),
    ("namespaces={a,a}", "/namespaces"),
    ("resources.limits.memory=much", "/resources/limits/memory"),
    ("resources.limit.memory=1Gi", "/resources"),
    ("tolerations[0].efect=NoSchedule", "/tolerations/0"),
    ("tolerations[0].effect=Never", "/tolerations/0/effect"),
    ("affinity.nodeAfinity.x=1", "/affinity"),
    ("topologySpreadConstraints[0].maxSkew=1", "/topologySpreadConstraints/0"),
    ("podDisruptionBudget.maxUnavailable=half", "/podDisruptionBudget/maxUnavailable"),
    ("podDisruptionBudget.maxUnavailable=200%", "/podDisruptionBudget/maxUnavailable"),
    ("extraArgs={max-workers}", "/extraArgs/0"),
    ("extraEnv[0].value=x", "/extraEnv/0"),
    ("extraEnv[0].name=A,extraEnv[0].valueFrom.secretRef.name=x", "/extraEnv/0/valueFrom"),
    ("podLabels.a=b c", "/podLabels/a"),
    ("fullnameOverride=Über", "/fullnameOverride"),
    ("tls.certManager.issuerRef.nam=x", "/tls/certManager/issuerRef"),
    ("dnsTimeoutSeconds=0", "/dnsTimeoutSeconds"),
    ("history.failedJobs=-1", "/history/failedJobs"),
    ("crds.install=yes", "/crds/install"),
)
"""A setting, and the path that Helm must name."""


def batches(rows):
    """Put rows together that do not touch each other's values: helm tells of all wrong ones."""
    made = []
    for setting, path in rows:
        root = setting.partition(".")[0].partition("[")[0].partition("=")[0]
        for batch in made:
            if root not in batch:
                batch[root] = (setting, path)
                break
        else:
            made.append({root: (setting, path)})
    return [list(batch.values()) for batch in made]


def test_a_wrong_value_is_refused_with_its_path(helm):
    missed = []
    for batch in batches(WRONG):
        sets = [word for setting, _ in batch for word in ("--set", setting)]
        done = helm("lint", str(CHART), *sets)
        assert done.returncode != 0, batch
        said = done.stdout + done.stderr
        missed += [row for row in batch if f"'{row[1]}'" not in said]

    assert missed == []


def test_a_group_of_values_that_is_taken_away_is_missed(told):
    for setting, words in (
        ("history=null", "missing property 'history'"),
        ("tls.certManager=null", "at '/tls': missing property 'certManager'"),
    ):
        assert words in told(setting)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["metrics.port=8081"], "metrics.port: 8081 is the health port already"),
        (["claims.port=8443"], "admission.port: 8443 is claims.port already"),
        (["admission.port=8080"], "admission.port: 8080 is claims.port already"),
        (["consul.enabled=true", "consul.address=c:8500"], "exclude each other"),
        (["consul.enabled=true", "consul.tls.enabled=true"], "consul.address"),
        (["consul.token.secretName=t"], "consul.address is missing"),
        (["consul.address=c:1", "consul.tls.caSecretName=c"], "consul.tls.enabled=true"),
        (["consul.address=c:1", "consul.name=factotum"], "consul.forceName=true"),
        (["tls.existing=true", "tls.certManager.enabled=true"], "exclude each other"),
        (["tls.certManager.issuerRef.kind=Issuer"], "tls.certManager.issuerRef.name is missing"),
        (["extraEnv[0].name=POD_IP"], "extraEnv[0].name: POD_IP is set by the chart"),
        (["metrics.enabled=false", "metrics.serviceMonitor.enabled=true"],
         "metrics.serviceMonitor.enabled needs metrics.enabled=true"),
        (["podLabels.app\\.kubernetes\\.io/name=x"], "app.kubernetes.io/name is the chart's own"),
        (["commonLabels.helm\\.sh/chart=x"], "commonLabels: the label helm.sh/chart"),
    ],
)  # fmt: skip
def test_values_that_do_not_go_together_are_refused_with_the_cure(told, settings, words):
    assert words in told(*settings)
