"""What the options of a server that works for a cluster come to."""

import pytest

from factotum.gateway import cluster, options


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ([], None),
        (["--keep=0"], None),
        (["--keep=1"], 86_400),
        (["--keep=24855"], 24_855 * 86_400),
        # As long as the resource can say, in place of no job at all.
        (["--keep=24856"], 2**31 - 1),
        (["--keep=4294967295"], 2**31 - 1),
    ],
)
def test_ended_jobs_are_kept_as_long_as_the_resource_can_say(words, seconds):
    given = options.parse(options.OURS, ["--backend=kubernetes", *words])

    assert cluster.keep_seconds(given) == seconds
