"""How stubbornly events are delivered: a value, without clock or network.

The original sleeps up to a minute after every failed try, the last one included,
and has neither time-outs nor an end: a dead consumer holds a finished job for
minutes, a silent one for ever. The default here is bounded; the original's schedule
can be asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ORIGINAL = "original"
ORIGINAL_LONGEST_PAUSE = 60.0

DEFAULT_PAUSES = (1.0, 2.0)
DEFAULT_TIMEOUT = 30.0
DEFAULT_PATIENCE = 60.0

_BAD_TEXT = "neither 'original' nor seconds such as '2' or '1,2'"


class RetryPolicy:
    """When to try again, and when to give up.

    Attributes:
        tries: how often an event is posted before it is dropped.
        pauses: seconds after the first, second... failed try; the last one repeats.
        random: pause anything from 0 to below ORIGINAL_LONGEST_PAUSE instead, after the
            last try as well.
        timeout: seconds for connecting, and for the answer's headers.
        patience: seconds without a delivered event, counted from the end of the job at the
            earliest and while the process is not stopped, after which the rest is dropped.
            None: never.
    """

    __slots__ = ("patience", "pauses", "random", "timeout", "tries")

    def __init__(
        self,
        *,
        tries: int = 3,
        pauses: tuple[float, ...] = DEFAULT_PAUSES,
        random: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        patience: float | None = DEFAULT_PATIENCE,
    ) -> None:
        self.tries = tries
        self.pauses = pauses
        self.random = random
        self.timeout = timeout
        self.patience = patience

    @classmethod
    def parse(cls, text: str) -> RetryPolicy:
        """Read ``original`` or the seconds of the pauses, separated by commas.

        Raises:
            ValueError: It is neither.
        """
        if text == ORIGINAL:
            return cls(random=True, patience=None)
        # float() also takes the digits of other scripts, and 1_0 for 10.
        if not text.isascii() or "_" in text:
            raise ValueError(_BAD_TEXT)
        try:
            pauses = tuple(float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(_BAD_TEXT) from None
        if not all(0 <= pause < 86_400 for pause in pauses):  # also refuses nan
            raise ValueError(_BAD_TEXT)
        return cls(pauses=pauses)

    def expect_long_tries(self) -> None:
        """Have patience for one pause and one try, however long they were asked to be."""
        if self.patience is not None:
            self.patience = max(self.patience, max(self.pauses) + self.timeout + 1)

    def pause_after(self, failed: int, draw: Callable[[], float]) -> float:
        """Return the seconds to wait after that many failed tries of one event.

        Args:
            failed: tries so far, from 1.
            draw: gives a random number from 0 to below 1; only asked if `random`.
        """
        if self.random:
            return int(draw() * ORIGINAL_LONGEST_PAUSE * 1000) / 1000
        if failed >= self.tries:
            return 0.0
        return self.pauses[min(failed, len(self.pauses)) - 1]
