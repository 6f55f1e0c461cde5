"""What could not be read this time is asked for again the next time.

Real: the backend, and what draws graphs. The API is one in memory, which fails when it is told to.
"""

import json

from factotum.gateway.v1.graphs import Graphs
from factotum.kube import paths
from factotum.kube.memory import MemoryApi
from support.builders.manifests import make_factfile, make_task
from support.server.cluster_jobs import (
    away,
    known,
    make_request,
    serving,
    stored_jobs,
    write_status,
)

LARGE = make_factfile(
    make_task("first", arguments=["x" * 200_000]),
    make_task("second", arguments=["x" * 200_000], dependsOn=["first"]),
)
CONFIG_MAPS = f"/{paths.CONFIG_MAPS.plural}/"


async def test_a_factfile_that_could_not_be_read_is_not_remembered_as_empty(caplog):
    api, graphs = MemoryApi(), Graphs()
    async with serving(api) as backend:
        view = await backend.create(make_request(json.dumps(LARGE)))
        raw = write_status(
            api, stored_jobs(api)[0], state="WORKING", outcome="RUNNING", attempt=1, taskStates="SR"
        )
        await known(backend, raw["metadata"]["resourceVersion"])
        api.on_request = lambda asked: away(asked) if CONFIG_MAPS in asked.path else None
        without = await backend.get(view.key)
        assert (without.factfile, without.tasks) == ("", ())
        assert not (await graphs.of_job(without))[0].names
        assert "cannot be read now" in caplog.text
        api.on_request = lambda _: None
        again = await backend.get(view.key)
        drawn = (await graphs.of_job(again))[0]

    assert json.loads(again.factfile) == LARGE
    assert [(task.name, task.state) for task in again.tasks] == [
        ("first", "SUCCEEDED"),
        ("second", "RUNNING"),
    ]
    assert list(drawn.names) == ["first", "second"]
    assert [box.level for box in drawn.boxes] == [0, 1]
