"""What Prometheus and the kubelet would get from an operator's process, by real HTTP."""

import http.client
import time
from collections.abc import Callable

from support.cluster.operator_process import OperatorProcess
from support.model.figures import Samples, read


def page(address: tuple[str, int], path: str) -> tuple[int, str]:
    """Ask for a page; return its status and its text."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Scraper:
    """Reads an operator's figures."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._operator = operator

    def all(self) -> Samples:
        """Return every figure as it is now."""
        status, text = page(self._operator.metrics, "/metrics")
        assert status == 200, text
        return read(text)

    def value(self, name: str, *labels: str) -> float:
        """Return one figure; 0 if it was never counted."""
        return self.all().get((f"factotum_{name}", tuple(sorted(labels))), 0.0)

    def wait(
        self, name: str, *labels: str, until: Callable[[float], bool] = bool, seconds: float = 30.0
    ) -> float:
        """Wait until a figure is as it should be, and return it."""
        deadline = time.monotonic() + seconds
        while not until(found := self.value(name, *labels)):
            assert time.monotonic() < deadline, f"{name} {labels} is still {found}"
            time.sleep(0.3)
        return found
