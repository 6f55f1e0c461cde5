"""When a Lease may be taken, and how long one that is held counts. Pure.

One rule: whatever stands there and is not ours must have been seen unchanged
for longer than a leader may write without renewing, by our own clock. That
holds for a Lease that was edited, emptied or made anew by hand, too: somebody
may still lead who has not noticed. Only what its holder gave up itself, and
what a dead process of our own name holds, is free at once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from factotum.controller.leader.lease import Lease

TAKE_AFTER_SECONDS: Final = 12
"""How long a Lease must have been seen unchanged; what stands in it if that is longer."""
TERM_SECONDS: Final = 10.0
"""How long the leader may write after it began to ask for its last good renewal.

The rest until somebody else may take the Lease is for requests on their way,
and for clocks that run at a different rate."""
RENEW_SECONDS: Final = 2.0
"""The pause between two renewals."""
LOOK_SECONDS: Final = 1.0
"""The pause between two looks of those who stand by: so late they may see the last renewal."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A state of the Lease, and since when it has been seen."""

    lease: Lease
    since: float

    def seen_again(self, lease: Lease, now: float) -> "Sighting":
        """Return what is known after one more look."""
        return self if lease == self.lease else Sighting(lease, now)


def wait_seconds(seen: Sighting, now: float, own: Collection[str] = ()) -> float:
    """Return how long a Lease is not to be taken yet; 0 or less: it may be.

    Args:
        seen: what stands there.
        now: by the clock of the sighting.
        own: the holders that are us, or were us before and are dead.
    """
    lease = seen.lease
    if lease.is_released or lease.holder in own:
        return 0.0
    return seen.since + max(TAKE_AFTER_SECONDS, lease.seconds) - now


def has_nobody(seen: Sighting, now: float, own: Collection[str] = ()) -> bool:
    """Whether nobody can be writing any more who may have been when this was first seen."""
    return wait_seconds(seen, now, own) <= TAKE_AFTER_SECONDS - TERM_SECONDS
