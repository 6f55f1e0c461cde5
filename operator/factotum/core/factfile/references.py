"""The three hashes by which a job and a run are known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def job_reference(compact: str, tags: Mapping[str, str]) -> str:
    """Return the reference in events: the rendered compact factfile, then the tags."""
    return _sha256(compact + _join_tags(tags))


def uuid_text(sixteen: bytes) -> str:
    """Return 16 random bytes as a random UUID (version 4); the uuid module costs too much."""
    digits = sixteen.hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def run_reference(uuid_text: str) -> str:
    """Return the reference of one run, given a fresh random UUID in its usual form."""
    return _sha256(uuid_text)


def job_id(document: object, tags: Mapping[str, str]) -> str:
    """Return Factotum Server's id: the factfile as written, keys sorted, then the tags."""
    import json  # only the controller asks for ids, and it has json loaded

    compact = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return job_id_of_text(compact, tags)


def job_id_of_text(compact: str, tags: Mapping[str, str]) -> str:
    """Return Factotum Server's id, given the factfile in the form that it is computed of."""
    return _sha256(compact + _join_tags(tags))


def content_hash(text: str) -> str:
    """Return the SHA-256 of a text, to recognise it again."""
    return _sha256(text)


def _join_tags(tags: Mapping[str, str]) -> str:
    # Sorted by bytes; that is the order of code points for UTF-8. No separators (W-Q8).
    return "".join(name + tags[name] for name in sorted(tags))


def _sha256(text: str) -> str:
    # The interpreter's own: hashlib brings in OpenSSL, which takes longer and reads settings
    # that may be broken.
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:  # named otherwise in later versions
        from hashlib import sha256

    # A lone surrogate cannot come from UTF-8 text; one from the command line stays one byte.
    digest: str = sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return digest
