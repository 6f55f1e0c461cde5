"""Names in Kubernetes: within its limits, whatever the job is called. Pure."""

import re

from hypothesis import given
from hypothesis import strategies as st

from factotum.kube import names

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
UID = "11111111-2222-3333-4444-555555555555"

job_names = st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253)


def test_a_pods_name_tells_job_attempt_and_launch():
    assert re.fullmatch(r"nightly-2-3-[0-9a-f]{8}", names.pod_name("nightly", UID, 2, 3))


def test_every_controller_gives_a_launch_the_same_name():
    assert names.pod_name("nightly", UID, 1, 1) == names.pod_name("nightly", UID, 1, 1)


def test_every_launch_of_every_job_has_a_name_of_its_own():
    others = [
        names.pod_name("nightly", UID, 1, 1),
        names.pod_name("nightly", UID, 1, 2),
        names.pod_name("nightly", UID, 2, 1),
        names.pod_name("nightly", UID.replace("5", "6"), 1, 1),
        names.pod_name("weekly", UID, 1, 1),
    ]

    assert len(set(others)) == len(others)


@given(job_names, st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_pods_name_is_a_name_that_also_fits_a_label(name, attempt, launch):
    pod = names.pod_name(name, UID, attempt, launch)

    assert SUBDOMAIN.fullmatch(pod)
    assert len(pod) <= 40 + 2 * 8 + 9


@given(job_names)
def test_a_jobs_name_is_cut_to_a_label(name):
    label = names.label_value(name)

    assert LABEL.fullmatch(label)
    assert len(label) <= 63
    assert name.startswith(label)


def test_a_name_cut_behind_a_dot_stays_a_name():
    assert names.pod_name("a" * 39 + ".b", UID, 1, 1).startswith("a" * 39 + "-1-1-")
    assert names.label_value("a" * 62 + ".b") == "a" * 62
