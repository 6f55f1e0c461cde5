"""The server's options: the original's, which go by either name, and what has come since."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from factotum.core.commandline.arguments import find_similar, is_number
from factotum.core.errors import FactotumError

ORIGINAL: Final = "factotum-server"
OURS: Final = "factotum server"

_U32: Final = 2**32 - 1
_USIZE: Final = 2**64 - 1
_MAX_PORT: Final = 65535
_PORT, _CONSUL_PORT, _MAX_JOBS, _MAX_WORKERS = 3000, 8500, 1000, 20

_ORIGINAL_OPTIONS: Final = (
    "[--ip=<address>] [--port=<number>] [--max-jobs=<size>] [--max-workers=<size>]"
    " [--webhook=<url>] [--no-colour] [--consul-name=<name>] [--consul-ip=<address>]"
    " [--consul-port=<number>] [--consul-namespace=<namespace>] [--log-level=<level>]"
    " [--max-stdouterr-size=<bytes>]"
)
_LATER_OPTIONS: Final = (
    "[--data-dir=<folder>] [--interrupted=<fail|resume>] [--log-size=<bytes>] [--keep=<days>]"
    " [--boxes=<alone|share>] [--takeover-after=<seconds>] [--token-file=<file>]"
    " [--allow-host=<names>] [--rate=<requests>]"
    " [--consul-token-file=<file>] [--consul-tls] [--consul-ca-file=<file>]"
    " [--consul-cert-file=<file> --consul-key-file=<file>] [--consul-tls-name=<name>]"
)
_CLUSTER_OPTIONS: Final = (
    "--backend=kubernetes [--namespace=<name>] [--factfiles=<folders>] [--operator=<host:port>]"
    " [--token-audience=<word>] [--no-authentication] [--consul-address=<host:port>]"
    " [--consul-kubernetes-namespace=<name>]"
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        value: what its value is called; empty for a flag.
        explanation: for the help text.
        number: the original's word for the number it takes.
        most: the largest such number.
        is_later: whether the original does not know it.
    """

    value: str
    explanation: str
    number: str = ""
    most: int = 0
    is_later: bool = False


OPTIONS: Final = {
    "--help": Option("", "Show this text."),
    "--version": Option("", "Show the version."),
    "--factotum-bin": Option(
        "path", "Run jobs by this program (default: by the runner that comes with this server)."
    ),
    "--ip": Option("address", "IPv4 address to listen on (default {ip})."),
    "--port": Option("number", "Port to listen on (default 3000).", "u32", _U32),
    "--max-jobs": Option("size", "How many jobs may wait (default 1000).", "usize", _USIZE),
    "--max-workers": Option("size", "How many jobs run at once (default 20).", "usize", _USIZE),
    "--webhook": Option("url", "Post the events of every job to this address."),
    "--no-colour": Option("", "Give --no-colour to every job."),
    "--consul-name": Option("name", "Name of this server in Consul (default factotum)."),
    "--consul-ip": Option("address", "IPv4 address of the Consul agent (default 127.0.0.1)."),
    "--consul-port": Option("number", "Port of the Consul agent (default 8500).", "u32", _U32),
    "--consul-namespace": Option(
        "namespace", "Prefix of the keys in Consul (default com.snowplowanalytics/factotum)."
    ),
    "--log-level": Option("level", "off, error, warn (default), info, debug or trace."),
    "--max-stdouterr-size": Option(
        "bytes", "With --webhook: characters of a task's output in an event.", "usize", _USIZE
    ),
    "--data-dir": Option(
        "folder",
        "Where jobs and their output are kept (default .factotum/server-PORT, below the"
        " working folder).",
        is_later=True,
    ),
    "--interrupted": Option(
        "fail|resume",
        "What becomes of a job whose run was broken off, by a restart of the machine for one:"
        " it has failed (default), or has another attempt.",
        is_later=True,
    ),
    "--log-size": Option(
        "bytes", "How much of one task's output is kept (default 16777216).", "usize", _USIZE, True
    ),
    "--keep": Option(
        "days", "How long ended jobs are kept (default 30; 0: for ever).", "u32", _U32, True
    ),
    "--boxes": Option(
        "alone|share",
        "With Consul: jobs are this box's own (default of factotum-server), or a box that is lost"
        " has its jobs taken over by others that share (default of factotum server).",
        is_later=True,
    ),
    "--takeover-after": Option(
        "seconds",
        "With --boxes=share: how long another box must be seen to be gone (default 30).",
        "u32",
        _U32,
        is_later=True,
    ),
    "--token-file": Option(
        "file", "Who asks must show the token in this file (Authorization: Bearer).", is_later=True
    ),
    "--backend": Option(
        "local|kubernetes",
        "Where jobs run: on this machine (default), or as FactotumJobs of a cluster, whose tokens"
        " and rights decide then who may do what.",
        is_later=True,
    ),
    "--namespace": Option(
        "name",
        "With --backend=kubernetes: where FactotumJobs are made (default: the Pod's own, or"
        " default).",
        is_later=True,
    ),
    "--factfiles": Option(
        "folders",
        "With --backend=kubernetes: absolute paths of folders with colons between them; a"
        " factfilePath is looked for in there alone.",
        is_later=True,
    ),
    "--operator": Option(
        "host:port",
        "With --backend=kubernetes: the health port of the operator, which says whether its queue"
        " has room.",
        is_later=True,
    ),
    "--token-audience": Option(
        "word",
        "With --backend=kubernetes: for whom callers' tokens must have been made (default"
        " factotum-server; empty: for the API server).",
        is_later=True,
    ),
    "--no-authentication": Option(
        "",
        "With --backend=kubernetes: serve whoever asks; or, with --token-file, who has that token.",
        is_later=True,
    ),
    "--consul-address": Option(
        "host:port",
        "With --backend=kubernetes: the Consul that the operator mirrors jobs to.",
        is_later=True,
    ),
    "--consul-kubernetes-namespace": Option(
        "name",
        "With --backend=kubernetes: the operator's flag of that name (default default).",
        is_later=True,
    ),
    "--consul-token-file": Option(
        "file", "The token for Consul; read again every few seconds.", is_later=True
    ),
    "--consul-tls": Option(
        "", "Speak TLS to Consul; so do the options that follow.", is_later=True
    ),
    "--consul-ca-file": Option(
        "file", "Who vouches for Consul, PEM (default: whom the system trusts).", is_later=True
    ),
    "--consul-cert-file": Option("file", "Certificate to show to Consul, PEM.", is_later=True),
    "--consul-key-file": Option("file", "Its key, PEM.", is_later=True),
    "--consul-tls-name": Option(
        "name", "The name in Consul's certificate (default: the address's).", is_later=True
    ),
    "--allow-host": Option(
        "names",
        "Names by which browsers may call the page and /v1, with commas between (addresses,"
        " localhost and the machine's own name always may).",
        is_later=True,
    ),
    "--rate": Option(
        "requests",
        "Requests a second that one client may make of /v1 and the page (default 500).",
        "u32",
        _U32,
        is_later=True,
    ),
}
_SHORT: Final = {"-h": "--help", "-v": "--version"}
_WORDS: Final = {
    "--interrupted": ("fail", "resume"),
    "--backend": ("local", "kubernetes"),
    "--boxes": ("alone", "share"),
}
_CONSUL: Final = ("--consul-name", "--consul-ip", "--consul-port", "--consul-namespace")
CONSUL_ACCESS: Final = (
    "--consul-token-file",
    "--consul-tls",
    "--consul-ca-file",
    "--consul-cert-file",
    "--consul-key-file",
    "--consul-tls-name",
)
"""How Consul lets us in."""


class UsageError(FactotumError):
    """The command line cannot be understood; the text goes to standard error."""


class Options:
    """A command line that was understood.

    Args:
        program: by which name the server was called.
        given: the options, by their long name.
    """

    def __init__(self, program: str, given: dict[str, str]) -> None:
        self.program = program
        self._given = given

    def has(self, name: str) -> bool:
        """Whether an option was given."""
        return name in self._given

    def text(self, name: str, default: str = "") -> str:
        """Return an option's value."""
        return self._given.get(name, default)

    def number(self, name: str, default: int) -> int:
        """Return an option's number; 0 means the default, as ever."""
        return int(self._given.get(name, "").lstrip("+0") or "0") or default

    @property
    def ip(self) -> str:
        """The address to listen on."""
        return self.text("--ip", "0.0.0.0" if self.program == ORIGINAL else "127.0.0.1")  # noqa: S104 - where the original listens

    @property
    def port(self) -> int:
        """The port to listen on."""
        port = self.number("--port", _PORT)
        return port if port <= _MAX_PORT else _PORT

    @property
    def consul_port(self) -> int:
        """The port of Consul; not checked, as ever: of one that cannot be, nobody answers."""
        return self.number("--consul-port", _CONSUL_PORT)

    @property
    def uses_consul(self) -> bool:
        """Whether entries are kept in Consul: always, for who calls the server as it was called."""
        return self.program == ORIGINAL or any(map(self.has, (*_CONSUL, *CONSUL_ACCESS)))

    @property
    def shares(self) -> bool:
        """Whether boxes on the same Consul take over from each other."""
        default = "alone" if self.program == ORIGINAL else "share"
        return self.uses_consul and self.text("--boxes", default) == "share"

    @property
    def uses_cluster(self) -> bool:
        """Whether jobs are run by a cluster."""
        return self.text("--backend") == "kubernetes"

    @property
    def max_jobs(self) -> int:
        """How many jobs may wait."""
        return self.number("--max-jobs", _MAX_JOBS)

    @property
    def max_workers(self) -> int:
        """How many jobs run at once."""
        return self.number("--max-workers", _MAX_WORKERS)


def usage(program: str) -> str:
    """Return the usage: the original's own under its name."""
    if program == ORIGINAL:
        first = f"{program} --factotum-bin=<path> {_ORIGINAL_OPTIONS}"
    else:
        first = f"{program} [--factotum-bin=<path>] {_ORIGINAL_OPTIONS} {_LATER_OPTIONS}"
    if program != ORIGINAL:
        first += f"\n  {program} {_CLUSTER_OPTIONS} [...]"
    return f"Usage:\n  {first}\n  {program} (-h | --help)\n  {program} (-v | --version)"


def help_text(program: str) -> str:
    """Return what --help prints."""
    ip = "0.0.0.0" if program == ORIGINAL else "127.0.0.1"  # noqa: S104 - as above
    lines = ["Factotum Server.", "", usage(program), "", "Options:"]
    short = {long: form for form, long in _SHORT.items()}
    for name, option in OPTIONS.items():
        shown = f"{short[name]}, {name}" if name in short else name
        if option.value:
            shown += f"=<{option.value}>"
        lines.append(f"  {shown:<34} {option.explanation.format(ip=ip)}")
    return "\n".join(lines)


def parse(program: str, argv: Sequence[str]) -> Options:
    """Return the options of a command line.

    Raises:
        UsageError: it cannot be understood.
    """
    given: dict[str, str] = {}
    surplus = False
    rest = list(reversed(argv))
    while rest:
        word = rest.pop()
        if word.startswith("--") and word != "--":
            name, value = _long(program, word, rest)
        elif word.startswith("-") and word not in ("-", "--"):
            name, value = _short(program, word)
        else:
            surplus = True
            continue
        surplus = surplus or name in given
        given[name] = value
    _check(program, given, surplus=surplus)
    return Options(program, given)


def _long(program: str, word: str, rest: list[str]) -> tuple[str, str]:
    name, attached, value = word.partition("=")
    option = OPTIONS.get(name)
    if option is None:
        # Under the original's name its own are meant: it knows no others.
        is_ours = program != ORIGINAL
        similar = find_similar(
            name, [each for each in OPTIONS if is_ours or not OPTIONS[each].is_later]
        )
        hint = f". Did you mean '{similar}'?" if similar is not None else ""
        raise _error(program, f"Unknown flag: '{name}'{hint}")
    if not option.value:
        if attached:
            raise _error(program, f"Flag '{name}' cannot have an argument, but found '{value}'.")
        return name, ""
    if attached:
        return name, value
    if not rest:
        text = f"Expected argument for flag '{name}' but reached end of arguments."
        raise _error(program, text)
    return name, rest.pop()


def _short(program: str, word: str) -> tuple[str, str]:
    for letter in word[1:]:
        if f"-{letter}" not in _SHORT:
            raise _error(program, f"Unknown flag: '-{letter}'")
    return (_SHORT[word], "") if len(word) == 2 else ("--help", "")


def _check(program: str, given: dict[str, str], *, surplus: bool) -> None:
    is_asking = given.keys() & {"--help", "--version"}
    is_complete = program != ORIGINAL or "--factotum-bin" in given
    if surplus or (is_asking and len(given) > 1) or not (is_asking or is_complete):
        raise _error(program, "Invalid arguments.")
    for name, value in given.items():
        option = OPTIONS[name]
        if option.number and not is_number(value, option.most):
            raise UsageError(f"Could not decode '{value}' to {option.number} for '{name}'.")
    for name, words in _WORDS.items():
        if given.get(name, words[0]) not in words:
            raise UsageError(
                f"The value '{given[name]}' of '{name}' is none of: {', '.join(words)}."
            )


def _error(program: str, problem: str) -> UsageError:
    return UsageError(f"{problem}\n\n{usage(program)}")
