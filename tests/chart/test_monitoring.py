"""Alerts and dashboard ask for figures that there are. Real: helm, the figures, a PromQL parser."""

import json
import re

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from factotum.core.words.reasons import TABLE
from support.cluster.chart_reading import of_kind
from support.cluster.clusters import ROOT
from support.model.figures import keep
from support.model.stage import Stage
from support.server.forking import Zygote
from support.server.rest import Rest
from support.server.running import Server

FILES = ROOT / "charts" / "factotum-operator" / "files"


def rules(name):
    groups = yaml.safe_load((FILES / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


RULES, SERVERS = rules("alerts.yaml"), rules("server-alerts.yaml")
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
OF_KUBERNETES = {"namespace", "pod", "instance", "le"}
"""Labels that a scrape adds, and the one of buckets."""


def queries():
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for rule in RULES:
        yield f"alert {rule['alert']}", rule["expr"]


QUERIES = dict.fromkeys(queries())


def parsed(query):
    text = query.replace("$__rate_interval", "5m").replace("$namespace", ".*")
    return promql_parser.parse(text)


def selectors(node):
    """Find every selector of a query, wherever it stands."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from selectors(inner)
    for inner in getattr(node, "args", None) or ():
        yield from selectors(inner)


def kept():
    """Return the figures that there are: name of each series, and its labels."""
    found = {}
    for collector in list(keep(Stage()).figures.registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()) or ())
        for family in collector.describe() if hasattr(collector, "describe") else ():
            labels |= {label for sample in family.samples for label in sample.labels}
            endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            for ending in endings.get(family.type, [""]):
                found[family.name + ending] = labels
    return found


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=lambda text: text[:40])
def test_a_query_is_promql_and_asks_for_what_there_is(place, query):
    check(place, query, kept() | {name: set() for name in PROCESS})


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The figures of a server that has run a job: name of each series, and its labels."""
    with Zygote() as zygote, Server(zygote, tmp_path_factory.mktemp("server")) as server:
        rest = Rest(server)
        rest.wait(rest.submit("true")["key"])
        text = rest.get("/metrics").body.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("rule", SERVERS, ids=lambda rule: rule["alert"])
def test_the_job_servers_alerts_ask_for_what_it_tells(told, rule):
    check(rule["alert"], rule["expr"], told)


def test_the_reason_of_lost_runs_is_a_reason():
    (rule,) = [rule for rule in SERVERS if rule["alert"] == "FactotumServerJobsLost"]
    assert set(re.findall(r'reason="(.+?)"', rule["expr"])) <= set(TABLE)


def check(place, query, figures):
    asked = list(selectors(parsed(query)))

    assert asked, f"{place}: no figure in it"
    for selector in asked:
        assert selector.name in figures, f"{place}: {selector.name}"
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= figures[selector.name] | OF_KUBERNETES, f"{place}: {labels}"
    by = {word for part in re.findall(r"by \(([^)]*)\)", query) for word in part.split(", ")}
    assert by <= set().union(*(figures[each.name] for each in asked)) | OF_KUBERNETES, place


def test_a_query_that_asks_for_what_is_not_there_would_be_found():
    (found,) = selectors(parsed('sum(rate(factotum_nothing{a="b"}[5m])) > 1'))

    assert found.name == "factotum_nothing"
    assert found.name not in kept()


def test_reasons_in_alerts_are_reasons():
    (rule,) = [rule for rule in RULES if rule["alert"] == "FactotumJobsHeldUp"]
    (words,) = re.findall(r'reason!~"(.+?)"', rule["expr"])

    assert set(words.split("|")) <= set(TABLE)


def test_every_alert_says_what_it_means_and_what_to_do():
    for rule in RULES + SERVERS:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert all(text.endswith(".") for text in rule["annotations"].values())


def test_panels_do_not_lie_over_each_other():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_nothing_of_it_is_installed_unasked(render):
    kinds = {each["kind"] for each in render()}

    assert not kinds & {"ServiceMonitor", "PrometheusRule", "ConfigMap"}


def monitoring_of_the_job_server(manifests):
    rules = of_kind(manifests, "PrometheusRule")
    return [rule for rule in rules if rule["metadata"]["name"].endswith("-gateway")]


def test_the_job_servers_alerts_come_with_it(render):
    switches = ("metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.release=p")
    (rule,) = monitoring_of_the_job_server(render("gateway.enabled=true", *switches))

    assert rule["spec"] == yaml.safe_load((FILES / "server-alerts.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "p"


def test_rules_and_dashboard_arrive_as_they_are_in_the_files(render):
    manifests = render(
        "metrics.serviceMonitor.enabled=true",
        "metrics.serviceMonitor.labels.release=prometheus",
        "metrics.prometheusRule.enabled=true",
        "metrics.dashboard.enabled=true",
        "metrics.dashboard.annotations.folder=Jobs",
    )

    assert monitoring_of_the_job_server(manifests) == []
    (rule,) = of_kind(manifests, "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((FILES / "alerts.yaml").read_text())
    (dashboard,) = of_kind(manifests, "ConfigMap")
    assert json.loads(dashboard["data"]["factotum-operator.json"]) == DASHBOARD
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["metadata"]["annotations"] == {"folder": "Jobs"}
    (monitor,) = of_kind(manifests, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (service,) = [s for s in of_kind(manifests, "Service") if "metrics" in str(s["spec"]["ports"])]
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector.items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [p["name"] for p in service["spec"]["ports"]]
