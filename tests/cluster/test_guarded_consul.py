"""The mirror in a Consul that wants a token and speaks TLS.

Real: Consul with access lists and certificates, the API server with our chart, the operator's
process, a test node with the real runner.
"""

import pytest

from support.consul.entries import PREFIX, seconds_until_mirrored
from support.consul.guarded import SERVER, GuardedConsul

pytestmark = [pytest.mark.cluster, pytest.mark.consul]

POLICY = f'key_prefix "{PREFIX}/" {{ policy = "write" }}'


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
