"""Certificates that change under a running operator, as another replica or a person changes them.

Real: the operator's process, its Secret on the API server, its rights, a Pod that knows only the
authority of the moment it was made.
"""

import base64
import ssl
import time
from datetime import UTC, datetime

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from support.builders.manifests import make_factfile, make_task
from support.cluster.operator_process import OPERATOR_NAMESPACE, RELEASE

pytestmark = [pytest.mark.cluster, pytest.mark.longer]

CLAIM = "c" * 32
SECRET = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/{RELEASE}-tls"
LOOK_SECONDS = 60
FIELDS = {
    "ca.crt": "trusted",
    "ca.key": "authority_key",
    "tls.crt": "chain",
    "tls.key": "key",
}


def shown(operator):
    """Return the certificate that the claims port shows, PEM."""
    connection = operator.connection(seconds=10)
    try:
        connection.connect()
        return ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
    finally:
        connection.close()


def test_a_new_authority_is_shown_without_a_restart_and_a_running_pod_still_reports(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(make_factfile(make_task("a"))))
        assert pod.claim(CLAIM)[0] == 200
        before = bench.installation.certificates()
        # By these the authority's end is near, so that a new one is due.
        soon = Lifetimes(authority_overlap=Lifetimes().authority)
        renewed = authority.renew(before, ("127.0.0.1",), datetime.now(UTC), soon)
        assert renewed is not None
        raw = bench.api.get(SECRET)
        raw["data"] |= {
            field: base64.b64encode(getattr(renewed, name).encode()).decode()
            for field, name in FIELDS.items()
        }
        bench.api.request("PUT", SECRET, raw)
        deadline = time.monotonic() + LOOK_SECONDS + 30
        while shown(operator) not in renewed.chain:
            assert time.monotonic() < deadline, "the new certificate is not shown"
            time.sleep(1)

        assert operator.starts == 1
        assert pod.report(CLAIM, 2, "S", final=True)[0] == 200
        assert bench.done()["outcome"] == "SUCCEEDED"
        later = bench.pod_side(
            operator, bench.create_by_hand(make_factfile(make_task("b")), name="later")
        )
        assert later.variables["FACTOTUM_OPERATOR_CA"] == renewed.trusted
        assert later.claim(CLAIM)[0] == 200


def test_a_secret_that_was_deleted_comes_back_and_pods_go_on_trusting_it(bench):
    with bench.operator() as operator:
        pod = bench.pod_side(operator, bench.create_by_hand(make_factfile(make_task("a"))))
        before = bench.api.get(SECRET)["data"]
        bench.api.delete(SECRET)

        found = bench.api.wait_for(SECRET, lambda _: True, "back", seconds=LOOK_SECONDS + 30)
        assert found["data"] == before
        assert pod.claim(CLAIM)[0] == 200
