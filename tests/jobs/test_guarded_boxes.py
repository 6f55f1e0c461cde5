"""A box whose token lets it do all that boxes do, and one that may write entries alone.

Real: the backend, its runners, a Consul with access lists and TLS.
"""

import pytest

from factotum.persistence.access import Access
from support.consul.guarded import SERVER, GuardedConsul
from support.server.backends import PREFIX, asking, ended
from support.server.boxes import Box, stored, until, until_entry
from support.server.running import factfile

pytestmark = pytest.mark.consul

ENTRIES = f'key_prefix "{PREFIX}/" {{ policy = "write" }}'
ALL = f'key_prefix "{PREFIX}" {{ policy = "write" }} session_prefix "" {{ policy = "write" }}'


@pytest.fixture(scope="module")
def consul(tmp_path_factory):
    with GuardedConsul.fresh(tmp_path_factory.mktemp("consul")) as process:
        yield process


@pytest.fixture
def make(consul, checker, tmp_path):
    def make(rules):
        token = consul.token(rules)
        ca_file = str(consul.files / "ca.crt")
        made = Box(tmp_path, consul.address, checker, "one")
        made.access = Access(tls=True, ca_file=ca_file, server_name=SERVER, token=token)
        return made

    return make


async def test_what_the_reference_asks_for_is_enough(consul, make):
    async with make(ALL) as one:
        await one.until_in()
        job = await one.service.submit(asking(factfile("echo all")))
        entry = await until_entry(consul, job.job_id, state="DONE")

    assert entry["lastOutcome"] == "SUCCEEDED"


async def test_a_box_that_may_not_be_one_says_so_and_runs_what_it_is_sent(consul, make, caplog):
    async with make(ENTRIES) as one:
        job = await one.service.submit(asking(factfile("echo entries")))
        end = await ended(one.service, job.key)
        assert end.job.outcome == "SUCCEEDED"
        assert (await one.backend.entry(job.job_id)).last_outcome == "SUCCEEDED"
        told = "this box is not among the others in Consul"
        await until(lambda: told in caplog.text, "told")

    assert "ermission denied" in caplog.text
    assert not stored(consul, job.job_id)
