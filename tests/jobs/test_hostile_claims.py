"""Claims, entries and losses in Consul that no box has written, or not so: they stop nobody's work.

Real: the backends, their runners and shells, Consul.
"""

import json
from urllib.parse import quote

import pytest

from factotum.jobs.errors import RefusedByPolicyError
from support.server.backends import PREFIX, asking, ended
from support.server.boxes import KEYS, Box, boxes, lines, until_entry, write
from support.server.running import factfile, job_id_of

pytestmark = pytest.mark.consul

SURROGATE = "\\ud800"
CLAIM = {"box": "gone", "host": "there", "name": "gone", "job": 1, "place": -1}
CLAIM |= {"phase": "waiting", "whole": True}


def document_of(tmp_path, text):
    return factfile(f"echo {text} >> {tmp_path}/ran;")


def entry_of(job_id, path, name="job", args=()):
    request = {"jobId": job_id, "jobName": name, "factfilePath": str(path)}
    request["factfileArgs"] = list(args)
    entry = {"state": "QUEUED", "jobRequest": request, "lastRunFrom": "gone"}
    return json.dumps(entry | {"lastOutcome": "WAITING"})


def changed(**fields):
    return json.dumps(CLAIM | fields)


# What a claim says, its key, and what its entry says, if that is not a good one.
ODD = {
    "endless job": (changed(job=0).replace('"job": 0', '"job": 1e999'), None, None),
    "endless place": (changed(place=0).replace('"place": 0', '"place": -1e999'), None, None),
    "no number": (changed(job=0).replace('"job": 0', '"job": NaN'), None, None),
    "large number": (changed(job=10**30), None, None),
    "deep": ("[" * 100_000, None, None),
    "no text": (b"\xff\xfe\x00", None, None),
    "box of several parts": (changed(box="../../a/b\0c"), None, None),
    "box without a name": (changed(box=""), None, None),
    "half a character in its host": (changed(host="X").replace("X", SURROGATE), None, None),
    "half a character in its box": (changed(box="X").replace("X", SURROGATE), None, None),
    "half a character in its name": (changed(), None, ("name", "\ud800")),
    "half a character in its path": (changed(), None, ("path", "/\ud800")),
    "half a character in its words": (changed(), None, ("args", ["--tag", "a,\ud800"])),
    "a nul in its words": (changed(), None, ("args", ["--tag", "a,\0"])),
    "a device": (changed(), None, ("path", "/dev/zero")),
    "a folder": (changed(), None, ("path", "/")),
    "an id with dots": (changed(), "a.b", None),
    "an id with a space": (changed(), "a b", None),
    "an id in two parts": (changed(), "a/b", None),
    "a real job's id behind another word": (changed(), "x/GOOD", None),
    "an id of other letters": (changed(), "ß", None),
    "a long id": (changed(), "a" * 300, None),
    "results of other tasks": (changed(kept="x" * 1000), None, None),
    "much": (changed(factfile="x" * 300_000), None, None),
}

ALL_AND_EACH = [
    pytest.param(list(ODD), id="all of them"),
    *(pytest.param([name], id=name, marks=pytest.mark.longer) for name in ODD),
]


@pytest.fixture
def clean(consul):
    yield
    for folder in (f"{PREFIX}-boxes", PREFIX):
        consul._ask("DELETE", f"/v1/kv/{folder}/?recurse", b"")


def put_odd(consul, tmp_path, name):
    """Write an odd claim, and the entry of its job."""
    value, key, odd = ODD[name]
    word = f"odd-{list(ODD).index(name)}"
    path = write(tmp_path / word, document_of(tmp_path, word))
    odd_id = key or job_id_of(document_of(tmp_path, word))
    odd_id = odd_id.replace("GOOD", job_id_of(document_of(tmp_path, "good")))
    entry = entry_of(odd_id, **({"path": path} | dict([odd] if odd else [])))
    value = value if isinstance(value, bytes) else value.encode()
    consul.put(quote(f"{KEYS.claims}/{odd_id}"), value)
    consul.put(quote(f"{PREFIX}/{odd_id}"), entry.encode())


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("names", ALL_AND_EACH)
async def test_a_claim_that_no_box_has_written_keeps_no_job_from_being_taken_over(
    consul, checker, tmp_path, names
):
    good = write(tmp_path / "good", document_of(tmp_path, "good"))
    one = Box(tmp_path, consul.address, checker, "one", workers=0)
    two = Box(tmp_path, consul.address, checker, "two")
    async with boxes(one, two):
        job = await one.submit(good)
        for name in names:
            put_odd(consul, tmp_path, name)
        await one.die()
        end = await until_entry(consul, job.job_id, state="DONE")
        assert (end["lastOutcome"], end["lastRunFrom"]) == ("SUCCEEDED", "two")
        # Nor does it keep that box from what it is asked for.
        later = await two.submit(write(tmp_path / "later", document_of(tmp_path, "later")))
        assert (await ended(two.service, later.key)).job.outcome == "SUCCEEDED"

    ran = [line for line in lines(tmp_path / "ran") if not line.startswith("odd")]
    assert ran == ["good", "later"]


@pytest.mark.usefixtures("clean")
async def test_a_factfile_that_is_long_once_it_is_written_down_runs(consul, checker, tmp_path):
    """It has 60,000 characters, and many more in a claim: Consul takes 512 KiB in one request."""
    document = document_of(tmp_path, "long")
    document["data"]["name"] = "\N{GRINNING FACE}" * 60_000
    async with Box(tmp_path, consul.address, checker, "one") as one:
        await one.until_in()
        job = await one.service.submit(asking(document))
        end = await ended(one.service, job.key)

    assert end.job.outcome == "SUCCEEDED"
    assert json.loads(consul.get(f"{PREFIX}/{job.job_id}"))["lastOutcome"] == "SUCCEEDED"


@pytest.mark.usefixtures("clean")
async def test_what_no_other_box_could_be_told_of_is_refused(consul, checker, tmp_path):
    path = write(tmp_path / "job", document_of(tmp_path, "refused"))
    async with Box(tmp_path, consul.address, checker, "one") as one:
        await one.until_in()
        with pytest.raises(RefusedByPolicyError, match="no other box could know of it"):
            await one.submit(path, "--tag", f"a,{'x' * 600_000}")
        assert not one.backend.load().waiting
        # The same job in fewer words is another one.
        job = await one.submit(path)
        assert (await ended(one.service, job.key)).job.outcome == "SUCCEEDED"
