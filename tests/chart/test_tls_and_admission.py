"""Certificates and the webhook in the chart. Real: helm, the operator's own parser."""

import pytest

from factotum.controller.settings import Settings, TlsFiles
from support.cluster.chart_reading import arguments, named, of_kind


def webhook(manifests):
    (found,) = named(manifests, "ValidatingWebhookConfiguration", "factotum-operator")["webhooks"]
    return found


def operator(manifests):
    """Return the operator's Pod, its container, and its settings."""
    pod = named(manifests, "Deployment", "factotum-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container, Settings.from_arguments(arguments(manifests))


def test_an_operator_that_does_not_answer_holds_nobody_up_for_long(render):
    found = webhook(render())

    assert (found["failurePolicy"], found["timeoutSeconds"]) == ("Ignore", 3)
    assert found["sideEffects"] == "None"


def test_the_webhook_is_asked_about_jobs_and_not_about_their_statuses(render):
    (rule,) = webhook(render())["rules"]

    assert rule["resources"] == ["factotumjobs"]
    assert rule["operations"] == ["CREATE", "UPDATE"]


def test_the_api_server_comes_to_where_the_operator_listens(render):
    manifests = render("admission.port=9443")
    service = webhook(manifests)["clientConfig"]["service"]
    (port,) = [
        each
        for each in named(manifests, "Service", service["name"])["spec"]["ports"]
        if each["port"] == service["port"]
    ]
    _, container, settings = operator(manifests)
    opened = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert opened[port["targetPort"]] == 9443
    assert settings.admission_port == 9443
    assert settings.admission_webhook == "factotum-operator"


def test_the_certificate_is_for_both_names_by_which_the_operator_is_found(render):
    _, _, settings = operator(render())

    assert settings.certificate_names == (
        "factotum-operator.factotum-system.svc.cluster.local",
        "factotum-operator.factotum-system.svc",
    )
    assert settings.tls_secret == "factotum-operator-tls"
    assert settings.operator_namespace == "factotum-system"


def test_with_namespaces_only_their_jobs_are_looked_at(render):
    selector = webhook(render("namespaces={one,two}"))["namespaceSelector"]

    (expression,) = selector["matchExpressions"]
    assert (expression["key"], expression["values"]) == (
        "kubernetes.io/metadata.name",
        ["one", "two"],
    )


def test_without_admission_nothing_is_left_of_it(render):
    manifests = render("admission.enabled=false")

    assert of_kind(manifests, "ValidatingWebhookConfiguration") == []
    assert operator(manifests)[2].admission_port == 0
    (policy,) = of_kind(manifests, "NetworkPolicy")
    assert [{"port": "admission"}] not in [each["ports"] for each in policy["spec"]["ingress"]]
    role = named(manifests, "ClusterRole", "factotum-operator")
    assert ["validatingwebhookconfigurations"] not in [each["resources"] for each in role["rules"]]


def test_an_operator_outside_of_the_cluster_is_asked_at_its_address(render):
    url = "https://operator.example:8443/v1/admission"

    assert webhook(render(f"admission.url={url}"))["clientConfig"] == {"url": url}


@pytest.mark.parametrize("how", ["tls.existing=true", "tls.certManager.enabled=true"])
def test_certificates_of_others_come_as_files_and_take_no_right_to_secrets(render, how):
    manifests = render(how, "tls.secretName=theirs")
    pod, container, settings = operator(manifests)

    assert settings.tls_files == TlsFiles("/tls/ca.crt", "/tls/tls.crt", "/tls/tls.key")
    assert {"name": "tls", "secret": {"secretName": "theirs"}} in pod["volumes"]
    assert {"name": "tls", "mountPath": "/tls", "readOnly": True} in container["volumeMounts"]
    rights = [rule for kind in ("Role", "ClusterRole") for r in of_kind(manifests, kind)
              for rule in r["rules"]]  # fmt: skip
    assert [rule for rule in rights if "secrets" in rule["resources"]] == []


def test_cert_manager_makes_an_authority_that_outlives_the_pods_that_know_it(render):
    manifests = render("tls.certManager.enabled=true")

    authority = named(manifests, "Certificate", "factotum-operator-authority")["spec"]
    assert (authority["isCA"], authority["duration"]) == (True, "87600h")
    mine = named(manifests, "Certificate", "factotum-operator")["spec"]
    assert mine["secretName"] == "factotum-operator-tls"
    assert mine["dnsNames"] == [
        "factotum-operator.factotum-system.svc",
        "factotum-operator.factotum-system.svc.cluster.local",
    ]
    assert mine["issuerRef"] == {"name": "factotum-operator", "kind": "Issuer"}


def test_cert_manager_may_be_given_an_issuer(render):
    manifests = render(
        "tls.certManager.enabled=true",
        "tls.certManager.issuerRef.name=company",
        "tls.certManager.issuerRef.kind=ClusterIssuer",
    )

    (mine,) = of_kind(manifests, "Certificate")
    assert mine["spec"]["issuerRef"] == {"name": "company", "kind": "ClusterIssuer"}
    assert of_kind(manifests, "Issuer") == []
