"""The server's parts put together: runner, entries, backend, service and application."""

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from factotum.core.errors import FactotumError
from factotum.gateway.chronicle import Chronicle
from factotum.gateway.figures import Figures
from factotum.gateway.front import RATE, Front
from factotum.gateway.options import OURS, Options
from factotum.gateway.original.application import OriginalApplication
from factotum.gateway.original.endpoints import Endpoints
from factotum.gateway.original.requests import Application, Guard
from factotum.jobs.checking.processes import CheckingProcesses
from factotum.jobs.checking.program import Program
from factotum.jobs.local.backend import LocalBackend
from factotum.jobs.local.entries import Entries, OwnEntries
from factotum.jobs.local.settings import LocalSettings
from factotum.jobs.service import Appended, JobService
from factotum.jobs.views import JobRequest, JobView, Load, Submission, Webhook
from factotum.persistence.access import is_token

if TYPE_CHECKING:
    from factotum.jobs.local.boxes.takeover import Takeover
    from factotum.persistence.access import Access

logger = logging.getLogger(__name__)

NAME: Final = "factotum"
NAMESPACE: Final = "com.snowplowanalytics/factotum"
_LOG_BYTES: Final = 16 * 1024 * 1024
_KEEP_DAYS: Final = 30
_TAKEOVER_SECONDS: Final = 30

Check = Callable[[Submission, tuple[str, ...]], Awaitable[JobRequest]]


class SettingsError(FactotumError):
    """An option cannot be used; the text names it and the cure."""


class Assembly:
    """A server that is ready to start. Made within its event loop.

    Args:
        given: the options.

    Raises:
        FactotumError: it cannot be made so.
    """

    def __init__(self, given: Options) -> None:
        program = given.text("--factotum-bin")
        is_ours = not program or _is_ours(program)
        shown = program or "factotum"
        self.checker = CheckingProcesses(shown) if is_ours else Program(program)
        self._figures = Figures()
        self._chronicle = Chronicle(shown, self._load, None if is_ours else self._last_words)
        settings = LocalSettings(
            folder=_data_folder(given),
            workers=given.max_workers,
            max_waiting=given.max_jobs,
            resumes=given.text("--interrupted") == "resume",
            log_bytes=given.number("--log-size", _LOG_BYTES),
            keep_days=int(given.text("--keep") or _KEEP_DAYS),
            program="" if is_ours else program,
        )
        entries = _entries(given, settings)
        self.backend = LocalBackend(settings, entries, self._hear)
        self._takeover = _takeover(given, settings, entries, self.backend, self.checker.check)
        self.service = JobService(self.backend, self.checker, appended(given))
        token = shared_token(given)
        self.guard = Guard(token)
        self.front = Front(
            self.service,
            self.guard,
            self._figures,
            hosts=hosts(given),
            rate=given.number("--rate", RATE),
        )

    def application(self) -> Application:
        """Return what serves requests."""
        doors = self.front.applications
        return OriginalApplication(Endpoints(self.service), self.guard, doors)

    async def start(self) -> None:
        """Begin to run jobs."""
        await self.backend.start()
        if self._takeover is not None:
            self._takeover.start()

    async def stop(self) -> None:
        """Let go of everything; the queue is kept, and running jobs go on."""
        if self._takeover is not None:
            await self._takeover.stop()
        await self.backend.stop()
        if isinstance(self.checker, CheckingProcesses):
            await self.checker.stop()

    def _hear(self, job: JobView, args: tuple[str, ...]) -> None:
        self._chronicle.hear(job, args)
        self._figures.hear(job)

    def _load(self) -> Load:
        return self.backend.load()

    def _last_words(self, key: str) -> str:
        return self.backend.last_words(key)


def _is_ours(program: str) -> bool:
    """Whether a path leads to the command that comes with this very server."""
    own = Path(sys.executable).parent / "factotum"
    try:
        return os.path.samefile(program, own)  # noqa: PTH121 - a user's text is no path yet
    except (OSError, ValueError):
        return False


def _data_folder(given: Options) -> Path:
    folder = Path(given.text("--data-dir") or f".factotum/server-{given.port}")
    try:
        return folder.absolute()
    except OSError as error:
        msg = f"--data-dir {folder}: there is no working folder any more: {error}"
        raise SettingsError(msg) from None


def hosts(given: Options) -> frozenset[str]:
    """Return the names by which browsers may call this server."""
    names = given.text("--allow-host").lower().split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _entries(given: Options, settings: LocalSettings) -> Entries:
    name = given.text("--consul-name", NAME)
    namespace = given.text("--consul-namespace", NAMESPACE)
    own = OwnEntries(name, namespace.strip("/"))
    if not given.uses_consul:
        return own
    from factotum.jobs.local.consul_entries import ConsulEntries
    from factotum.persistence.consul import ConsulStore

    address = f"{given.text('--consul-ip', '127.0.0.1')}:{given.consul_port}"
    store = ConsulStore(address, consul_access(given))
    if not given.shares:
        return ConsulEntries(store, own, name, namespace)
    from factotum.jobs.local.boxes.entries import SharedEntries

    secret = shared_token(given)
    return SharedEntries(store, own, name, namespace, settings=settings, secret=secret)


def _takeover(
    given: Options, settings: LocalSettings, entries: Entries, backend: LocalBackend, check: Check
) -> "Takeover | None":
    if not given.shares:
        return None
    from factotum.jobs.local.boxes.entries import SharedEntries
    from factotum.jobs.local.boxes.takeover import Takeover

    assert isinstance(entries, SharedEntries)  # noqa: S101 - for mypy
    patience = given.number("--takeover-after", _TAKEOVER_SECONDS)
    return Takeover(entries, backend, check, patience_seconds=patience, resumes=settings.resumes)


def consul_access(given: Options) -> "Access":
    """Return how Consul lets us in; its own variables count as well.

    Raises:
        FactotumError: what is said of it makes no sense.
    """
    from factotum.persistence.access import Access

    access = Access.of(
        os.environ,
        tls=given.has("--consul-tls"),
        ca_file=given.text("--consul-ca-file"),
        cert_file=given.text("--consul-cert-file"),
        key_file=given.text("--consul-key-file"),
        server_name=given.text("--consul-tls-name"),
        token_file=given.text("--consul-token-file"),
    )
    if access.shows_token_to_everybody:
        logger.warning("Consul's token travels in plain text: --consul-tls")
    return access


def appended(given: Options) -> Appended:
    """Return what is added to each job."""
    url = given.text("--webhook")
    size = given.text("--max-stdouterr-size")
    webhook = Webhook(url=url, max_stdouterr_size=int(size) if size else None) if url else None
    return Appended(webhook=webhook, no_colour=given.has("--no-colour"))


def shared_token(given: Options) -> str:
    """Return the token that callers must show; empty: none.

    Raises:
        SettingsError: its file cannot be used.
    """
    path = given.text("--token-file")
    if not path:
        return ""
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        msg = f"--token-file {path}: {error}"
        raise SettingsError(msg) from None
    if not is_token(token):
        msg = (
            f"--token-file {path}: it must hold a secret of your own, one word of ASCII characters"
        )
        raise SettingsError(msg)
    return token


def warning(given: Options) -> str:
    """Return what to say of a server that anybody may ask; empty: nothing."""
    if given.ip.startswith("127.") or given.has("--token-file"):
        return ""
    if given.uses_cluster:
        is_open = given.has("--no-authentication")
        who = f"whoever can reach {given.ip}:{given.port} can run commands in this cluster"
        return f"Warning: {who}; leave out --no-authentication" if is_open else ""
    return (
        f"Warning: whoever can reach {given.ip}:{given.port} can run any factfile of this machine;"
        f" say --ip=127.0.0.1, or --token-file (see {OURS} --help)"
    )
