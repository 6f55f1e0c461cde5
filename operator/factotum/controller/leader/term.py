"""Until when this process may write: what every changing request looks at first.

The clock counts the time that a machine sleeps and that a process is stopped,
so whoever wakes up after its term knows. It cannot see that a hypervisor held
a whole virtual machine with its clocks; there the resource version decides.
"""

from collections.abc import Callable

from factotum.kube.fenced import FencedError


class Term:
    """The leader's term, from renewal to renewal. Safe in any thread.

    Args:
        boottime: seconds that pass in sleep, too.
        lost: is told why a term ended that was not given up; in the operator
            it ends the process and does not return.
    """

    def __init__(self, boottime: Callable[[], float], lost: Callable[[str], None]) -> None:
        self._boottime = boottime
        self._lost = lost
        self._until: float | None = None

    @property
    def left(self) -> float:
        """How many seconds are left; 0 for one that does not lead."""
        return 0.0 if self._until is None else max(0.0, self._until - self._boottime())

    def extend(self, until: float) -> None:
        """Lead until then."""
        self._until = until

    def end(self) -> None:
        """Lead no more, of one's own will."""
        self._until = None

    def lose(self, reason: str) -> None:
        """Lead no more: somebody else may."""
        self._until = None
        self._lost(reason)

    def is_over(self) -> bool:
        """Whether it led and its time has passed."""
        return self._until is not None and self._boottime() >= self._until

    def check(self) -> None:
        """Let a write pass.

        Raises:
            FencedError: this process does not lead.
        """
        if self.is_over():
            self.lose("the Lease was not renewed in time")
        if self._until is None:
            raise FencedError("this replica does not lead")
