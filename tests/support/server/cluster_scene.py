"""A recorded scenario of the original job server, played to ours on a cluster: its HTTP alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.cluster.operator_process import Installation, kubeconfig
from support.consul.process import free_ports
from support.server.forking import Zygote
from support.server.scene import Record, Scene


class ClusterScene(Scene):
    """Where a scenario is played: whoever asks is served, factfiles are in the scene's folder."""

    def __init__(
        self,
        record: Record,
        folder: Path,
        zygote: Zygote,
        consul: Any,
        differences: Mapping[int, Any],
        granted: Installation,
        namespace: str,
    ) -> None:
        # Our own runner is called so in messages.
        super().__init__(record, folder, zygote, consul, Path("factotum"), differences)
        self._namespace = namespace
        self._kubeconfig = folder / "kubeconfig"
        self._kubeconfig.write_text(json.dumps(kubeconfig(granted)))

    def _start(self, name: str, options: list[str]) -> None:
        self._ports[name] = free_ports(1)[0]
        argv = [
            *(self._filled(option) for option in options),
            *("--backend=kubernetes", f"--namespace={self._namespace}", "--no-authentication"),
            *(f"--factfiles={self._folder}", f"--port={self._ports[name]}"),
        ]
        server = self._zygote.fork(
            argv, self._folder, "factotum server", KUBECONFIG=str(self._kubeconfig)
        )
        self._servers[name] = server
        self._outputs.setdefault(name, []).append(server.out)
        server.wait_until_listening(self._ports[name])
