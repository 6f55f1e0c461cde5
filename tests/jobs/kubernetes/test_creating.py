"""A submission becomes one FactotumJob, whoever else submits it, and whatever breaks in between.

Real: several backends beside each other, their watches and caches. The API is one in memory, to
which requests take their time; nobody runs the jobs.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from factotum.jobs.errors import (
    BackendAwayError,
    BackendError,
    DrainingError,
    DuplicateJobError,
    QueueFullError,
    RefusedByPolicyError,
)
from factotum.jobs.kubernetes.objects import manifest
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.kubernetes.submitting.factfiles import Factfiles
from factotum.kube import errors, names, paths
from factotum.kube.memory import MemoryApi
from support.builders.manifests import make_factfile, make_job, make_task
from support.server.cluster_jobs import (
    NAMESPACE,
    FarApi,
    away,
    end,
    known,
    make_padded,
    make_request,
    serving,
    stored,
    stored_jobs,
    write_status,
)


async def accepted(*attempts):
    """Return how many of several submissions at once were accepted; the others are duplicates."""
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [a for a in answers if isinstance(a, BaseException)]
    assert all(isinstance(error, DuplicateJobError) for error in refused), refused
    return len(answers) - len(refused)


@pytest.mark.parametrize("seed", range(30))
async def test_of_three_servers_one_accepts_a_job_again_and_again(seed):
    dice = random.Random(seed)  # noqa: S311 - a test's
    api = FarApi(dice)
    request = make_request()
    async with serving(api) as one, serving(api) as two, serving(api) as three:
        for run in range(1, 4):
            trials = [each.create(request) for each in (one, two, three, one)]
            assert await accepted(*trials) == 1
            assert [raw["metadata"]["name"] for raw in stored_jobs(api)][-1].endswith(f"-{run}")
            # Whether they have heard of its end yet is by chance.
            end(api, stored_jobs(api)[-1])
            await asyncio.sleep(dice.random() * 0.01)
    assert len(stored_jobs(api)) == 3


class DeafApi(MemoryApi):
    """An API whose watches tell nothing."""

    async def watch(self, _path, **_more):
        await asyncio.Event().wait()
        yield


async def test_a_server_that_has_missed_whole_runs_takes_its_job_back():
    api = DeafApi()
    request = make_request()
    async with serving(api) as old:
        # All of this happens while its watch is silent.
        for run in (1, 2):
            body = manifest.job(request, _submitted(request), namespace=NAMESPACE, number=run)
            raw = await api.create(paths.collection(paths.JOBS, NAMESPACE), body)
            if run == 1:
                end(api, raw)
                api.remove(paths.job(NAMESPACE, raw["metadata"]["name"]))

        with pytest.raises(DuplicateJobError):
            await old.create(request)

    assert [raw["metadata"]["uid"] for raw in stored_jobs(api)] == [raw["metadata"]["uid"]]


def _submitted(request):
    from factotum.jobs.kubernetes.objects.submission import Submitted

    return Submitted.of(request, "of another server")


async def test_the_watch_says_which_of_two_came_later():
    """A job that somebody made by hand, known by its id a moment before ours is made."""
    api = MemoryApi()
    request = make_request()
    async with serving(api) as backend:
        other = make_job(NAMESPACE, name="by-hand")
        made = []

        def beside(asked):
            if asked.method == "POST" and "factotumjobs" in asked.path and not made:
                made.append(True)
                api.put(
                    paths.job(NAMESPACE, "by-hand"),
                    {
                        **other,
                        "metadata": other["metadata"]
                        | {"creationTimestamp": "2026-01-01T00:00:00Z"},
                        "status": {
                            "state": "QUEUED",
                            "outcome": "WAITING",
                            "jobId": request.job_id,
                        },
                    },
                )

        api.on_request = beside
        with pytest.raises(DuplicateJobError):
            await backend.create(request)
    assert [raw["metadata"]["name"] for raw in stored_jobs(api)] == ["by-hand"]


async def test_a_job_that_was_made_though_its_answer_was_lost_is_accepted():
    class LossyApi(MemoryApi):
        async def create(self, path, body):
            await super().create(path, body)
            raise errors.UnreachableError("the connection broke")

    api = LossyApi()
    async with serving(api) as backend:
        view = await backend.create(make_request())
    assert view.state == "QUEUED"
    assert len(stored_jobs(api)) == 1


async def test_an_api_server_that_is_away_is_told_as_that():
    api = MemoryApi()
    async with serving(api) as backend:
        api.on_request = away
        with pytest.raises(BackendAwayError, match="did not answer"):
            await backend.create(make_request())
        key = "abc-1.uid-1"
        with pytest.raises(BackendAwayError):
            await backend.get(key)


async def test_a_name_that_others_have_taken_is_passed_over():
    api = MemoryApi()
    request = make_request()
    taken = make_job(NAMESPACE, name=f"{request.job_id[:32]}-1")
    api.put(
        paths.job(NAMESPACE, taken["metadata"]["name"]),
        taken | {"metadata": taken["metadata"] | {"creationTimestamp": "2026-01-01T00:00:00Z"}},
    )
    async with serving(api) as backend:
        await backend.create(request)
        assert stored_jobs(api)[-1]["metadata"]["name"].endswith("-2")


async def test_names_that_others_take_without_end_are_told_of():
    class GreedyApi(MemoryApi):
        async def create(self, path, body):
            taken = make_job(NAMESPACE, name=body["metadata"]["name"])
            await super().create(path, taken)
            return await super().create(path, body)

    async with serving(GreedyApi()) as backend:
        with pytest.raises(BackendError, match="no name is free"):
            await backend.create(make_request())


# --- what it is made of -------------------------------------------------------------------------

HOSTILE = "../../x\0\n\r\u202e'\";$(reboot)\U0001f600=,!in (a)" + "y" * 300


async def test_nothing_that_a_user_writes_gets_into_a_name_or_label():
    api = MemoryApi()
    args = ("--tag", f"{HOSTILE.replace(',', '').replace(chr(0), '')},v", "--env", '{"a":"../b"}')
    async with serving(api) as backend:
        view = await backend.create(
            make_request(make_factfile(make_task(HOSTILE)), *args, name=HOSTILE)
        )
    (raw,) = stored_jobs(api)
    assert paths.is_object_name(raw["metadata"]["name"])
    assert raw["metadata"]["labels"] == {
        names.LABEL_MANAGED_BY: "factotum-server",
        names.LABEL_SUBMITTED_JOB_ID: view.job_id[:63],
    }
    assert view.name == HOSTILE
    assert all("x" not in asked.path.split("/")[-1] for asked in api.requests)


async def test_what_a_factotumjob_cannot_say_is_refused():
    async with serving(MemoryApi()) as backend:
        with pytest.raises(RefusedByPolicyError, match="--max-parallel"):
            await backend.create(make_request(None, "--max-parallel", "2"))
        with pytest.raises(RefusedByPolicyError, match="131072 bytes"):
            await backend.create(make_request(None, name="x" * 200_000))


@pytest.mark.parametrize(
    ("status", "reason", "message", "kind"),
    [
        (422, "Invalid", "spec.tags: Too many", RefusedByPolicyError),
        (403, "Forbidden", 'exceeded quota: "jobs"', RefusedByPolicyError),
        (403, "Forbidden", 'User "x" cannot create resource "factotumjobs"', BackendError),
        (413, "RequestEntityTooLarge", "too large", RefusedByPolicyError),
        (500, "InternalError", "etcd is away", BackendAwayError),
        (429, "TooManyRequests", "later", BackendAwayError),
    ],
)
async def test_what_the_api_server_refuses_is_told(status, reason, message, kind):
    api = MemoryApi()

    def refuse(asked):
        if asked.method == "POST":
            raise errors.from_status(status, reason, message)

    async with serving(api) as backend:
        api.on_request = refuse
        with pytest.raises(kind):
            await backend.create(make_request())
        api.on_request = lambda _: None
        await backend.create(make_request())  # nothing is held on to


class Says:
    """An operator's replicas."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def refusals(self):
        return self.answers


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (("the operator drains", "this replica does not lead"), DrainingError),
        (("the queue is full, as 9 jobs wait",), QueueFullError),
        (("", "this replica does not lead"), None),
        (("this replica does not lead",), None),
        ((), None),
    ],
)
async def test_the_operator_that_leads_says_whether_there_is_room(answers, kind):
    async with serving(MemoryApi(), operator=Says(*answers)) as backend:
        if kind is None:
            await backend.create(make_request())
        else:
            with pytest.raises(kind):
                await backend.create(make_request())


async def test_as_many_jobs_wait_as_may_beside_those_that_a_worker_is_free_for():
    async with serving(MemoryApi(), workers=3, max_waiting=2) as backend:
        for number in range(5):
            await backend.create(make_request(None, "--tag", f"n,{number}"))
        assert backend.load().waiting == 2
        with pytest.raises(QueueFullError):
            await backend.create(make_request(None, "--tag", "n,5"))


# --- large factfiles ----------------------------------------------------------------------------


async def test_a_large_factfile_is_there_before_its_job_and_goes_with_it():
    api = MemoryApi()
    text = make_padded(300_000)
    async with serving(api) as backend:
        view = await backend.create(make_request(text))
        (config_map,), (job,) = stored(api, paths.CONFIG_MAPS), stored_jobs(api)
        made = [asked.path.split("/")[-1] for asked in api.requests if asked.method == "POST"]
        assert made == ["configmaps", "factotumjobs"]
        assert job["spec"]["factfileFrom"]["configMapKeyRef"] == {
            "name": config_map["metadata"]["name"],
            "key": "factfile",
        }
        assert config_map["metadata"]["ownerReferences"] == [manifest.owner(job)]
        assert (await backend.get(view.key)).factfile == text

        with pytest.raises(DuplicateJobError):
            await backend.create(make_request(text))
    assert len(stored(api, paths.CONFIG_MAPS)) == 1


async def test_the_loser_of_two_takes_its_factfile_along():
    api = FarApi(random.Random(1))  # noqa: S311 - as above
    request = make_request(make_padded(300_000))
    async with serving(api) as one, serving(api) as two:
        assert await accepted(one.create(request), two.create(request)) == 1
    (config_map,), (job,) = stored(api, paths.CONFIG_MAPS), stored_jobs(api)
    assert config_map["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]


async def test_a_factfile_larger_than_a_configmap_is_refused_with_its_size():
    async with serving(MemoryApi()) as backend:
        with pytest.raises(RefusedByPolicyError, match=r"1\d{6} bytes.* divide it"):
            await backend.create(make_request(make_padded(1_500_000)))


@pytest.mark.parametrize("dies_after", [1, 2])
async def test_whoever_dies_in_between_leaves_nothing_for_ever(dies_after):
    """After the ConfigMap it is removed, after the job it is made over to it; not at once."""
    api = MemoryApi()
    factfiles = Factfiles(api, ClusterSettings(namespace=NAMESPACE))

    def die(asked):
        if sum(asked.method in ("POST", "PATCH") for asked in api.requests) > dies_after:
            raise errors.UnreachableError("killed")

    async with serving(api) as backend:
        api.on_request = die
        if dies_after == 1:
            with pytest.raises(BackendAwayError):
                await backend.create(make_request(make_padded(300_000)))
        else:
            await backend.create(make_request(make_padded(300_000)))
    api.on_request = lambda _: None
    await factfiles.tidy()
    (config_map,) = stored(api, paths.CONFIG_MAPS)
    assert "ownerReferences" not in config_map["metadata"]

    old = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    config_map["metadata"]["creationTimestamp"] = old
    api.put(paths.config_map(NAMESPACE, config_map["metadata"]["name"]), config_map)
    await factfiles.tidy()

    left = stored(api, paths.CONFIG_MAPS)
    owners = [raw["metadata"]["ownerReferences"][0]["uid"] for raw in left]
    assert owners == [raw["metadata"]["uid"] for raw in stored_jobs(api)]


@pytest.mark.parametrize(
    "factfile",
    [
        make_factfile(make_task("n" * 1025)),
        make_factfile(make_task(command="c" * 131_073)),
        make_factfile(make_task(arguments=["x"] * 4097)),
        make_factfile(*(make_task(f"t{n}") for n in range(2001))),
    ],
    ids=["name", "command", "arguments", "tasks"],
)
async def test_what_the_schema_would_refuse_goes_into_a_configmap(factfile):
    api = MemoryApi()
    async with serving(api) as backend:
        await backend.create(make_request(factfile))
    assert "factfile" not in stored_jobs(api)[0]["spec"]


async def test_another_ones_configmap_is_not_shown():
    api = MemoryApi()
    api.put(
        paths.config_map(NAMESPACE, "secret"),
        {"metadata": {"name": "secret", "namespace": NAMESPACE}, "data": {"factfile": "word"}},
    )
    reference = {"configMapKeyRef": {"name": "secret", "key": "factfile"}}
    async with serving(api) as backend:
        raw = await api.create(
            paths.collection(paths.JOBS, NAMESPACE),
            make_job(NAMESPACE, factfileFrom=reference),
        )
        await known(backend, raw["metadata"]["resourceVersion"])
        (view,) = (await backend.list(_all())).jobs
        assert (await backend.get(view.key)).factfile == ""


def _all():
    from factotum.jobs.views import JobQuery

    return JobQuery()


async def test_an_ended_job_is_kept_as_long_as_it_is_said():
    api = MemoryApi()
    async with serving(api, keep_seconds=60) as backend:
        await backend.create(make_request())
    assert stored_jobs(api)[0]["spec"]["ttlSecondsAfterFinished"] == 60


async def test_what_waits_for_another_attempt_is_at_work():
    api = MemoryApi()
    async with serving(api) as backend:
        view = await backend.create(make_request())
        (raw,) = stored_jobs(api)
        failed = end(api, raw, "FAILED", "TaskFailed")
        await known(backend, failed["metadata"]["resourceVersion"])
        assert (await backend.resume(view.key)).state == "QUEUED"
        with pytest.raises(DuplicateJobError):
            await backend.create(make_request())
        write_status(api, raw, state="DONE", resumeSeen="nothing")
