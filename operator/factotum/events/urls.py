"""Judge and normalise the address of a webhook, the way the original's URL library does.

Which addresses are accepted, the reason given for the others, and the request
target that a consumer sees are part of the contract. ``urllib.parse`` follows
another standard (it takes ``http://a b/``, keeps ``..`` and encodes nothing), so the
rules stand here. Imports are late, since the check precedes everything else.
"""

from __future__ import annotations

from factotum.core.errors import FactotumError

DEFAULT_PORTS = {"http": 80, "https": 443}

_BAD_START = "URL must begin with 'http://' or 'https://' to be used with Factotum webhooks"
_EMPTY_HOST = "empty host"
_BAD_PORT = "invalid port number"
_BAD_IPV4 = "invalid IPv4 address"
_BAD_IPV6 = "invalid IPv6 address"
_BAD_DOMAIN = "invalid domain character"
_BAD_IDN = "invalid international domain name"

_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
_FORBIDDEN_IN_HOST = frozenset(_CONTROLS_AND_SPACE + "\x7f#%/:?@[\\]")
_ENCODED_IN_PATH = frozenset(b' "#<>?`{}')
_ENCODED_IN_QUERY = frozenset(b" \"#<>'")
_ONE_DOT = frozenset({".", "%2e"})
_TWO_DOTS = frozenset({"..", ".%2e", "%2e.", "%2e%2e"})
_DIGITS = "0123456789abcdef"
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class WebhookUrlError(FactotumError, ValueError):
    """The address cannot be a webhook; the text is the reason, for the user's eyes."""


class Endpoint:
    """Where to post.

    Attributes:
        url: as it was given.
        scheme: ``http`` or ``https``.
        host: to connect to: an ASCII name or an address without brackets.
        port: the port, also if it is the scheme's own.
        target: path and query as they stand in the request line.
        host_header: host, and the port unless it is the scheme's own.
    """

    __slots__ = ("host", "host_header", "port", "scheme", "target", "url")

    def __init__(self, url: str, scheme: str, host: str, port: int, target: str) -> None:
        self.url = url
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target
        shown = f"[{host}]" if ":" in host else host
        self.host_header = shown if port == DEFAULT_PORTS[scheme] else f"{shown}:{port}"

    @property
    def shown(self) -> str:
        """The address without what may be secret: user info, and all behind the host."""
        return f"{self.scheme}://{self.host_header}/{'' if self.target == '/' else '...'}"


def parse_webhook_url(url: str) -> Endpoint:
    """Return where `url` points to.

    Raises:
        WebhookUrlError: It is no address that events can be posted to.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in DEFAULT_PORTS:  # case counts, unlike in the standard
        raise WebhookUrlError(_BAD_START)
    clean = url.encode("utf-8", "replace").decode()  # an argument may hold stray bytes
    text = clean.strip(_CONTROLS_AND_SPACE).translate({0x09: None, 0x0A: None, 0x0D: None})
    rest = text[len(scheme) + 1 :].partition("#")[0]
    rest, question_mark, query = rest.partition("?")
    # The standard skips any number of slashes of either kind before the host.
    authority, _, path = rest.replace("\\", "/").lstrip("/").partition("/")
    host, port = _parse_authority(authority, DEFAULT_PORTS[scheme])
    target = _normalise_path(path) + question_mark + _percent_encode(query, _ENCODED_IN_QUERY)
    return Endpoint(url, scheme, host, port, target)


def conceal(url: str) -> str:
    """Return a refused address for a message about it, without passwords and tokens.

    What is wrong with it stands in front or in its host, so this stays to be seen, without
    user info and what follows.
    """
    scheme, separator, _ = url.partition("://")
    is_scheme = separator and _FORBIDDEN_IN_HOST.isdisjoint(scheme)
    begin = len(scheme) + len(separator) if is_scheme else 0
    while url.startswith(("/", "\\"), begin):
        begin += 1
    end = min((at for mark in "/?#\\" if (at := url.find(mark, begin)) >= 0), default=len(url))
    user_info, at_sign, host = url[begin:end].rpartition("@")
    rest = url[end:]
    if "@" in rest:  # a path with an @, or a password with a slash, and a host behind it
        return f"{url[:begin]}***"
    name = user_info.partition(":")[0]
    # A name of punctuation in front of nothing is nobody's, if its password has no letters; the
    # original shows it.
    first, *others = user_info.split("%")
    letters = [each for each in first + "".join(o[2:] for o in others) if each.isalpha()]
    is_nobody = name and not any(map(str.isalnum, name)) and not letters and not host + rest
    if at_sign and not is_nobody:
        user_info = "***"
    if len(rest) > 2:
        rest = f"{rest[0]}..."
    return f"{url[:begin]}{user_info}{at_sign}{host}{rest}"


def _parse_authority(authority: str, default_port: int) -> tuple[str, int]:
    place = authority.rpartition("@")[2]  # what stands before the last @ is user info: not sent
    # A colon inside brackets belongs to the host.
    end = place.find(":", place.rfind("]") + 1 if "[" in place else 0)
    name, port = (place, "") if end < 0 else (place[:end], place[end + 1 :])
    if not name:
        raise WebhookUrlError(_EMPTY_HOST)
    if not name.startswith("["):
        host = _parse_host(name)
    elif name.endswith("]"):
        host = _parse_ipv6(name[1:-1])
    else:
        raise WebhookUrlError(_BAD_IPV6)
    return host, _parse_port(port, default_port)


def _parse_port(text: str, default: int) -> int:
    if not text:
        return default
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdigit()) or len(digits) > 5 or int(digits) > 0xFFFF:
        raise WebhookUrlError(_BAD_PORT)
    return int(digits)


def _parse_ipv6(text: str) -> str:
    import socket

    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))
    except (OSError, ValueError):  # ValueError: a NUL inside
        raise WebhookUrlError(_BAD_IPV6) from None


def _parse_host(text: str) -> str:
    name = _to_ascii(_percent_decode(text))
    if not name:
        raise WebhookUrlError(_EMPTY_HOST)
    if not _FORBIDDEN_IN_HOST.isdisjoint(name):
        raise WebhookUrlError(_BAD_DOMAIN)
    return _parse_ipv4(name) or name


def _to_ascii(name: str) -> str:
    """Return the name as DNS wants it: lower case, other scripts as punycode."""
    lowered = name.lower()
    if lowered.isascii() and "xn--" not in lowered:
        return lowered
    labels = lowered.translate({0x3002: ".", 0xFF0E: ".", 0xFF61: "."}).split(".")
    try:
        return ".".join(_label_to_ascii(label) for label in labels)
    except UnicodeError:
        raise WebhookUrlError(_BAD_IDN) from None


def _label_to_ascii(label: str) -> str:
    if label.startswith("xn--"):
        # Decoding proves the punycode; a label that stands for plain ASCII is not allowed.
        if label.encode("ascii").decode("idna").isascii():
            raise UnicodeError(label)
        return label
    if label.isascii():
        return label
    from encodings.idna import nameprep

    prepared = nameprep(label)  # the codec as a whole would also check lengths
    if prepared.isascii():
        return prepared
    return f"xn--{prepared.encode('punycode').decode('ascii')}"


def _parse_ipv4(name: str) -> str | None:
    """Return the dotted form if the name is an IPv4 address in any notation.

    At most four parts of decimal, octal (``0...``) or hexadecimal (``0x...``) digits, the
    last one filling the bytes that are left: ``1.2.3`` is 1.2.0.3. All else is a name.
    """
    parts = name.removesuffix(".").split(".")
    if len(parts) > 4:
        return None
    numbers = []
    for part in parts:
        number = _parse_ipv4_part(part)
        if number is None:
            return None
        numbers.append(number)
    *leading, last = numbers
    if any(number > 0xFF for number in leading) or last >= 256 ** (5 - len(numbers)):
        raise WebhookUrlError(_BAD_IPV4)
    value = last
    for position, number in enumerate(leading):
        value += number << (8 * (3 - position))
    return ".".join(str(value >> shift & 0xFF) for shift in (24, 16, 8, 0))


def _parse_ipv4_part(text: str) -> int | None:
    digits, base = text, 10
    if text.startswith("0x"):
        digits, base = text[2:] or "0", 16
    elif text.startswith("0"):
        base = 8
    # Checked first: int() also takes signs, underscores and prefixes of its own.
    if not digits or not set(_DIGITS[:base]).issuperset(digits):
        return None
    try:
        return int(digits, base)
    except ValueError:  # more digits than int() reads
        return None


def _percent_decode(text: str) -> str:
    if "%" not in text:
        return text
    head, *tails = text.split("%")
    decoded = bytearray(head.encode())
    for tail in tails:
        code = tail[:2]
        if len(code) == 2 and _HEX_DIGITS.issuperset(code):
            decoded.append(int(code, 16))
            decoded += tail[2:].encode()
        else:
            decoded += b"%" + tail.encode()
    return decoded.decode("utf-8", "replace")


def _percent_encode(text: str, encoded: frozenset[int]) -> str:
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in encoded else f"%{byte:02X}"
        for byte in text.encode()
    )


def _normalise_path(path: str) -> str:
    """Return the path with dot segments resolved, beginning with a slash."""
    segments: list[str] = []
    *inner, last = path.split("/")
    for segment in inner:
        if segment.lower() in _TWO_DOTS:
            del segments[-1:]
        elif segment.lower() not in _ONE_DOT:
            segments.append(segment)
    if last.lower() in _TWO_DOTS:
        del segments[-1:]
        last = ""
    elif last.lower() in _ONE_DOT:
        last = ""
    return "/" + "/".join(_percent_encode(each, _ENCODED_IN_PATH) for each in [*segments, last])
