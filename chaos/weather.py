"""What becomes of single requests on their way: a pure function of the seed.

Requests come in whatever order the processes happen to have, so a request's fate hangs on whose it
is and its number among those, and not on a sequence that one late request would shift.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from support.http.proxies import Act, Call


class Climate(NamedTuple):
    """Of a thousand requests, how many get what."""

    refuse: int
    lose_answer: int
    double: int
    delay: int


CLAIMS = Climate(refuse=40, lose_answer=60, double=60, delay=80)
"""Between Pods and the claims port."""
API_WRITES = Climate(refuse=10, lose_answer=20, double=15, delay=30)
"""Between the operator and the API server, of what changes something."""
CALM = Climate(0, 0, 0, 0)


def fate(seed: int, climate: Climate, subject: str, number: int) -> Act:
    """Decide what becomes of the request of that number about a subject."""
    digest = hashlib.blake2b(f"{seed}/{subject}/{number}".encode(), digest_size=8).digest()
    rest = int.from_bytes(digest, "big") % 1000
    for share, act in (
        (climate.refuse, Act.REFUSE),
        (climate.lose_answer, Act.LOSE_ANSWER),
        (climate.double, Act.DOUBLE),
        (climate.delay, Act.DELAY),
    ):
        if rest < share:
            return act
        rest -= share
    return Act.PASS


def subject_of_claim(call: Call, names: Mapping[str, str]) -> str:
    """Say whose claim or report a request is, by the job's name: UIDs differ from run to run."""
    kind, _, rest = call.path.removeprefix("/v1/").partition("/")
    uid = rest.partition("/")[0]
    return f"{kind} {names.get(uid, '?')}"


def subject_of_write(call: Call) -> str:
    """Say what a request to the API server is about: verb, kind of object, job."""
    parts = call.path.partition("?")[0].strip("/").split("/")
    kind, *rest = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[-1:]
    name = rest[0] if rest else _name_in(call.body) if kind == "pods" else ""
    # A Pod's name ends in a hash of its job's UID.
    return f"{call.method} {kind} {re.sub(r'-[0-9a-f]{8}$', '', name)}".rstrip()


def _name_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""


class Weather:
    """The fates of one proxy's requests; counts them by subject."""

    def __init__(self, seed: int, climate: Climate) -> None:
        self._seed = seed
        self._climate = climate
        self._numbers: dict[str, int] = defaultdict(int)
        self.done: dict[Act, int] = defaultdict(int)

    def clear_up(self) -> None:
        """Let everything pass from now on."""
        self._climate = CALM

    def next_fate(self, subject: str) -> Act:
        """Decide about the next request of a subject."""
        self._numbers[subject] += 1
        act = fate(self._seed, self._climate, subject, self._numbers[subject])
        self.done[act] += 1
        return act

    def figures(self) -> Mapping[str, int]:
        """Count what was done to requests, beside letting them pass."""
        return {str(act.value): n for act, n in sorted(self.done.items()) if act is not Act.PASS}
