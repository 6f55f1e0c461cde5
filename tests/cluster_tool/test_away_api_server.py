"""A test node whose API server is away when a Pod is to start, as a kubelet would meet it.

Real: the life of a Pod on the node. Played: the API server, and the runner.
"""

import aiohttp

from test_node.pods import PodRun, Surroundings
from test_node.runners import Instant


class AwayAtFirst:
    """Refuses connections for the first tokens that are asked for."""

    def __init__(self, failures):
        self.failures = failures
        self.phases = []

    async def request(self, _method, path, body=None, **_):
        if path.endswith("/token"):
            if self.failures:
                raise self.failures.pop()
            return {"status": {"token": "t"}}
        if path.endswith("/status"):
            self.phases.append(body["status"]["phase"])
        return {}


class Playing:
    """Plays runners that do nothing, well."""

    def container(self, *_):
        return Instant()


def pod():
    volume = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    container = {"name": "factotum", "command": ["factotum", "work"], "image": "x"}
    return {
        "metadata": {"name": "a", "namespace": "ns", "uid": "u"},
        "spec": {"containers": [container], "volumes": [volume]},
    }


async def test_a_pod_starts_once_the_api_server_is_back(tmp_path):
    api = AwayAtFirst([aiohttp.ClientConnectionError("refused"), OSError("reset")])
    around = Surroundings(api=api, folder=tmp_path, runner=(), player=Playing())
    run = PodRun(pod(), around, "198.18.0.1")

    assert await run._start()
    await run._run()

    assert api.failures == []
    assert api.phases == ["Running", "Succeeded"]
