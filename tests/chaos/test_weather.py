"""What becomes of requests follows from the seed, whose they are, and their number. Pure."""

import json
import sys
from collections import Counter

import pytest

from support.cluster.clusters import ROOT
from support.http.proxies import Act, Call

sys.path.append(str(ROOT))
from chaos.weather import Climate, Weather

from chaos import weather

HASH = "0123abcd"


def test_a_request_of_one_job_does_not_move_the_fates_of_another():
    alone, beside = Weather(3, weather.CLAIMS), Weather(3, weather.CLAIMS)
    fates = []
    for number in range(50):
        if number % 3 == 0:
            beside.next_fate("claims other")
        fates.append(beside.next_fate("claims job"))
    assert fates == [alone.next_fate("claims job") for _ in range(50)]


def test_fates_come_about_as_often_as_the_climate_says():
    climate = Climate(refuse=100, lose_answer=200, double=50, delay=150)
    counted = Counter(weather.fate(1, climate, f"job-{n}", 1) for n in range(4000))
    for act, share in ((Act.REFUSE, 400), (Act.LOSE_ANSWER, 800), (Act.DOUBLE, 200)):
        assert abs(counted[act] - share) < share * 0.3
    assert counted[Act.PASS] > 1600


def test_it_clears_up():
    rainy = Weather(1, Climate(refuse=1000, lose_answer=0, double=0, delay=0))
    assert rainy.next_fate("a") is Act.REFUSE
    rainy.clear_up()
    assert rainy.next_fate("a") is Act.PASS
    assert rainy.figures() == {"refuse": 1}


def pods(name):
    return json.dumps({"metadata": {"name": name}}).encode()


OURS = "/apis/factotum.snowplowanalytics.com/v1alpha1/namespaces/chaos-1-3/factotumjobs"
PODS = "/api/v1/namespaces/x/pods"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.mark.parametrize(
    ("call", "subject"),
    [
        (Call("PATCH", f"{OURS}/echo-1/status", b""), "PATCH factotumjobs echo-1"),
        (Call("POST", PODS, pods(f"echo-1-1-1-{HASH}")), "POST pods echo-1-1-1"),
        (Call("DELETE", f"{PODS}/echo-1-1-1-{HASH}", b""), "DELETE pods echo-1-1-1"),
        (Call("POST", f"{REVIEWS}?x=1", b"{}"), "POST tokenreviews"),
        (Call("POST", "/api/v1/namespaces/x/events", b"no JSON"), "POST events"),
        (Call("POST", PODS, b"no JSON"), "POST pods"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_write_is_known_by_what_is_the_same_in_every_run(call, subject):
    assert weather.subject_of_write(call) == subject


def test_a_claim_is_known_by_its_jobs_name():
    call = Call("POST", "/v1/claims/uid-1/1/1", b"")
    assert weather.subject_of_claim(call, {"uid-1": "echo"}) == "claims echo"
    assert weather.subject_of_claim(call, {}) == "claims ?"
