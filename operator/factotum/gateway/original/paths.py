"""Which endpoint a request is for, by the original's routing."""

from typing import Final

from factotum.gateway.access.protocol import Deed

ROUTES: Final = {
    "/": "GET",
    "/help": "GET",
    "/status": "GET",
    "/check": "GET",
    "/settings": "POST",
    "/submit": "POST",
}
DEEDS: Final = {
    "/": Deed.LOOK,
    "/help": Deed.LOOK,
    "/status": Deed.LOOK,
    "/check": Deed.GET,
    "/settings": Deed.SET,
    "/submit": Deed.SUBMIT,
}
"""What whoever asks must be allowed to do."""


def path_of(target: bytes) -> str:
    """Return the path that a request's target stands for, its dots resolved; nothing is decoded.

    Args:
        target: what stands before the question mark.
    """
    text = target.decode("latin-1").partition("#")[0]
    if not text.startswith("/") and "://" in text:
        text = f"/{text.partition('://')[2].partition('/')[2]}"
    segments: list[str] = []
    parts = text.split("/")[1:]
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if part == "..":
            if segments:
                segments.pop()
        elif part != ".":
            segments.append(part)
            continue
        if is_last:
            segments.append("")
    while len(segments) > 1 and not segments[0]:
        segments.pop(0)
    return f"/{'/'.join(segments)}"


def allowed(path: str) -> str:
    """Return what OPTIONS is answered."""
    method = ROUTES.get(path, "")
    return "GET, HEAD" if method == "GET" else method


def without_slash(path: str, method: str) -> str | None:
    """Return the path that a request is sent on to; None: it is not."""
    shorter = path[:-1]
    if path.endswith("/") and shorter in ROUTES and fits(shorter, method):
        return shorter
    return None


def fits(path: str, method: str) -> bool:
    """Whether an endpoint takes a method."""
    wanted = ROUTES.get(path)
    return wanted == method or (wanted == "GET" and method == "HEAD")
