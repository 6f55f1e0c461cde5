"""The mirror in a Consul that wants a token and speaks TLS, and the job server that reads it.

Real: Consul with access lists and certificates, the API server with our chart, the operator's
process, the job server by its command, a test node with the real runner.
"""

import json

import pytest
import yaml

from support.builders.manifests import make_factfile, make_task
from support.cluster.chart_reading import containers, mounted, named
from support.cluster.kube_api import jobs_path
from support.cluster.operator_process import CHART
from support.cluster.workbench import PLAYED
from support.consul.entries import PREFIX, seconds_until_mirrored
from support.consul.guarded import SERVER, GuardedConsul
from support.server.replicas import Replica, grant, wait_for, write_factfiles

pytestmark = [pytest.mark.cluster, pytest.mark.consul]

POLICY = f'key_prefix "{PREFIX}/" {{ policy = "write" }}'
READS = f'key_prefix "{PREFIX}/" {{ policy = "read" }}'


def test_a_token_that_comes_late_delays_no_job_and_all_entries_follow(bench, tmp_path):
    with GuardedConsul.fresh(tmp_path / "consul") as consul, bench.nodes():
        token_file = tmp_path / "token"
        token_file.write_text("")
        flags = (
            f"--consul-address={consul.address}",
            f"--consul-ca-file={consul.files / 'ca.crt'}",
            f"--consul-tls-name={SERVER}",
            f"--consul-token-file={token_file}",
        )
        with bench.operator(*flags) as operator:
            bench.create(bench.book.chain("early", "true"), name="early")
            bench.done("early", seconds=20)
            token = consul.token(POLICY)
            token_file.write_text(token)
            bench.create(bench.book.chain("late", "true"), name="late")
            jobs = bench.api.wait_all_done(bench.namespace, seconds=30)
            seconds_until_mirrored(bench, consul, jobs)
        log = operator.log.read_text()

    assert "holds no token" in log
    assert "by TLS" in log
    assert token not in log


def options_of_the_chart(bench, consul, folder):
    """Render the chart's job server; return its options of Consul, with its files in a folder."""
    cluster = bench.installation.cluster
    settings = (
        f"gateway.enabled=true,gateway.namespace={bench.namespace}",
        f"consul.address={consul.address},consul.kubernetesNamespace={bench.namespace}",
        "consul.token.secretName=operators,gateway.consulToken.secretName=its",
        "consul.tls.enabled=true,consul.tls.caSecretName=authority",
        f"consul.tls.clientSecretName=mine,consul.tls.serverName={SERVER}",
    )
    words = (word for setting in settings for word in ("--set", setting))
    rendered = cluster.run("helm", "template", "factotum", str(CHART), *words)
    manifests = [each for each in yaml.safe_load_all(rendered) if each]
    deployment = named(manifests, "Deployment", "factotum-factotum-operator-gateway")
    ((pod, container),) = containers([deployment])
    secrets = {
        ("its", "token"): consul.token(READS),
        ("authority", "ca.crt"): (consul.files / "ca.crt").read_text(),
        ("mine", "tls.crt"): (consul.files / "client.crt").read_text(),
        ("mine", "tls.key"): (consul.files / "client.key").read_text(),
    }
    folder.mkdir()
    for path, source in mounted(pod, "consul").items():
        (folder / path.removeprefix("/consul/")).write_text(secrets[source])
    options = [word for word in container["args"] if word.startswith("--consul-")]
    return [word.replace("=/consul/", f"={folder}/") for word in options]


def test_the_job_server_reads_entries_of_jobs_that_are_gone(bench, tmp_path):
    factfiles = write_factfiles(tmp_path / "factfiles", {"job": make_factfile(make_task())})
    granted = grant(bench.installation, bench.namespace)
    fresh = GuardedConsul.fresh(tmp_path / "consul", wants_certificate=True)
    with fresh as consul, bench.nodes():
        operators_token = tmp_path / "token"
        operators_token.write_text(consul.token(POLICY))
        files = tmp_path / "consul-files"
        options = options_of_the_chart(bench, consul, files)
        its_token = (files / "token").read_text()
        (files / "token").write_text(consul.token('key_prefix "other/" { policy = "read" }'))
        operator = bench.operator(
            f"--consul-address={consul.address}",
            f"--consul-kubernetes-namespace={bench.namespace}",
            f"--consul-ca-file={consul.files / 'ca.crt'}",
            f"--consul-cert-file={consul.files / 'client.crt'}",
            f"--consul-key-file={consul.files / 'client.key'}",
            f"--consul-tls-name={SERVER}",
            f"--consul-token-file={operators_token}",
            "--consul-name=the-operator",
        )
        server = Replica(
            granted,
            tmp_path / "server",
            f"--namespace={bench.namespace}",
            f"--factfiles={factfiles}",
            "--no-authentication",
            *options,
        )
        with operator, server:
            wait_for(lambda: _is_known(server), [True])
            status, text = server.submit("job", "--constraint", f"host,{PLAYED[0]}")
            assert status == 200, text
            job_id = text.partition("[")[2].rstrip("]")
            (raw,) = bench.api.items(jobs_path(bench.namespace))
            bench.done(raw["metadata"]["name"])
            key = f"{PREFIX}/{job_id}"
            wait_for(lambda: b'"DONE"' in (consul.get(key) or b""), [True])
            bench.api.delete(jobs_path(bench.namespace, raw["metadata"]["name"]))
            path = f"/check?id={job_id}"

            # It has a token for something else: nothing is told, and nothing breaks.
            wait_for(lambda: server.get(path).status, [400])
            assert not json.loads(server.get(path).body).get("lastRunFrom")
            # The Secret was put right: the kubelet writes the file anew.
            (files / "token").write_text(its_token)
            wait_for(lambda: server.get(path).status, [200])
            entry = json.loads(server.get(path).body)
    log = server.log.read_text()

    assert (entry["lastRunFrom"], entry["state"]) == ("the-operator", "DONE")
    assert (entry["lastOutcome"], entry["jobRequest"]["jobId"]) == ("SUCCEEDED", job_id)
    assert its_token not in log
    assert "Traceback" not in log


def _is_known(server):
    try:
        return server.get("/check?id=" + "0" * 64).status == 400
    except OSError:
        return False
