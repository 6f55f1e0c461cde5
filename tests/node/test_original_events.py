"""The original's recorded runs on a real kubelet: the same events, task states and outcome.

Real: kubelet, containerd, images, chart, and a webhook receiver on this machine, which the Pods
reach by the node's address. The records (tests/conformance/golden) are the original's own.
"""

import pytest

from support.builders.recorded_jobs import RecordedJobs, usable
from support.cluster.acceptance import report, sized


@pytest.mark.longer
def test_recorded_runs_of_the_original_are_the_same_in_pods(kubelet, api, namespace, tmp_path):
    # What depends on the order of ends is compared on the test node, a few at a time.
    chosen = [pair for pair in usable() if "timing" not in pair[0]][:: sized(1, 6)]
    with RecordedJobs(api, namespace, host=api.node_address("node-1")) as jobs:
        for record, spec in chosen:
            jobs.start(record, spec)
        events, wrong = jobs.compare(tmp_path, seconds=240)

    report("2 original's records in Pods", records=len(chosen), events=events, different=len(wrong))
    assert wrong == []
