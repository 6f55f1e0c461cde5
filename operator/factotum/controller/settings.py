"""The operator's settings: flags, or the environment, read once. Their forms are in ``flags``."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from factotum.controller import flags
from factotum.persistence.access import Access

_PREFIX: Final = "FACTOTUM_"


_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class TlsFiles(NamedTuple):
    """Files, PEM, of a certificate that is not ours to renew."""

    trusted: str
    chain: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this operator runs. Every field is a flag of ``factotum-operator``."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty: all."""
    max_workers: int = 20
    """How many attempts may run at once."""
    max_workers_per_namespace: int | None = None
    """How many of them in one namespace; None: as many as there are."""
    max_jobs: int = 1000
    """How many jobs may wait before submissions are refused. FactotumJobs beyond wait, too."""
    drain: bool = False
    """Refuse submissions to the job server; FactotumJobs that are there go on."""
    runner_image: str = "factotum-runner:latest"
    """Image of the Pods that run jobs, and of what brings the runner into an image of their own."""
    runner_image_pull_policy: str = "IfNotPresent"
    image_volumes: str = "auto"
    """Whether the runner is mounted into a job's own image, else copied: always, never, or auto."""
    runner_templates: tuple[Mapping[str, Any], ...] = ()
    """What is laid over the Pods of all jobs, in this order, before what each says itself."""
    pod_pending_timeout: float = 900.0
    """Seconds after which a Pod that has not started is made anew; 0: never."""
    successful_jobs_history_limit: int | None = None
    """Finished jobs that ended well to keep in each namespace; None: all."""
    failed_jobs_history_limit: int | None = None
    """The same of those that failed."""
    successful_pods_history_limit: int | None = None
    """Finished jobs that ended well whose Pods to keep in each namespace; None: all."""
    failed_pods_history_limit: int | None = None
    """The same of those that failed."""
    claims_host: str = "0.0.0.0"  # noqa: S104 - Pods come from every interface
    claims_port: int = 8080
    """Where claims and reports are served."""
    claims_url: str = "https://factotum-operator.factotum-system.svc:8080"
    """Where Pods find them."""
    operator_namespace: str = "factotum-system"
    """Where our own objects are."""
    tls_secret: str = "factotum-operator-tls"  # noqa: S105 - a name
    """The Secret there in which our certificates are kept."""
    tls_names: tuple[str, ...] = ()
    """Names that our certificate is for, beside the claims URL's."""
    tls_files: TlsFiles | None = None
    """Certificates that somebody else makes; None: ours."""
    admission_host: str = "0.0.0.0"  # noqa: S104 - API servers come from anywhere
    admission_port: int = 0
    """Where jobs are looked at before they are stored; 0: nowhere."""
    admission_webhook: str = ""
    """The ValidatingWebhookConfiguration that is told our authorities; empty: none."""
    token_audience: str = "factotum-operator"  # noqa: S105 - an audience
    """What the Pods' tokens are made for."""
    advertise_address: str = ""
    """HOST:PORT at which other replicas reach the claims port; empty: from ``claims_host``."""
    lease: str = "factotum-system/factotum-operator"
    """NAMESPACE/NAME of the Lease by which replicas settle who leads."""
    identity: str = ""
    """What this replica is called there, over restarts; empty: made up at each start."""
    consul_address: str | None = None
    """host:port of Consul; None: no mirror."""
    consul_namespace: str = "com.snowplowanalytics/factotum"
    """First part of the keys in Consul."""
    consul_name: str | None = None
    """``lastRunFrom`` of our entries; None: from the cluster's identity."""
    force_consul_name: bool = False
    """Accept the name that old servers share."""
    consul_kubernetes_namespace: str = "default"
    """The namespace whose jobs have keys without a namespace, as old servers do."""
    consul_access: Access = field(default_factory=Access)
    """How Consul lets us in."""
    liveness_host: str = "0.0.0.0"  # noqa: S104 - the kubelet asks from outside
    liveness_port: int = 8081
    """Where ``/healthz`` and ``/readyz`` are served; 0: nowhere."""
    metrics_host: str = "0.0.0.0"  # noqa: S104 - Prometheus asks from outside
    metrics_port: int = 8082
    """Where ``/metrics`` is served; 0: nowhere."""
    dns_timeout_seconds: float = 5.0
    """How long a host constraint's name may take to resolve."""
    log_format: str = "text"
    """text: lines for people; json: an object a line."""

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Everything that our certificate is for, once each."""
        host = (urlsplit(self.claims_url).hostname or "").rstrip(".")
        return tuple(dict.fromkeys((host, *self.tls_names)))

    @classmethod
    def from_arguments(cls, argv: Sequence[str]) -> Self:
        """Read the command line; flags left out come from FACTOTUM_... variables."""
        arguments = _parser().parse_args(argv)
        claims_host, claims_port = flags.address(arguments.claims_address)
        liveness_host, liveness_port = flags.address(arguments.liveness_address)
        metrics_host, metrics_port = flags.address(arguments.metrics_address)
        admission_host, admission_port = flags.address(arguments.admission_address)
        namespaces = arguments.namespace or flags.split(os.environ.get("FACTOTUM_NAMESPACE"))
        return cls(
            namespaces=tuple(namespaces),
            max_workers=arguments.max_workers,
            max_workers_per_namespace=arguments.max_workers_per_namespace or None,
            max_jobs=arguments.max_jobs,
            drain=arguments.drain,
            runner_image=arguments.runner_image,
            runner_image_pull_policy=arguments.runner_image_pull_policy,
            image_volumes=arguments.image_volumes,
            runner_templates=_templates(arguments),
            pod_pending_timeout=arguments.pod_pending_timeout,
            successful_jobs_history_limit=arguments.successful_jobs_history_limit,
            failed_jobs_history_limit=arguments.failed_jobs_history_limit,
            successful_pods_history_limit=arguments.successful_pods_history_limit,
            failed_pods_history_limit=arguments.failed_pods_history_limit,
            claims_host=claims_host,
            claims_port=claims_port,
            claims_url=flags.claims_url(arguments.claims_url),
            operator_namespace=arguments.operator_namespace or _own_namespace(),
            tls_secret=arguments.tls_secret,
            tls_names=tuple(arguments.tls_name or flags.split(os.environ.get("FACTOTUM_TLS_NAME"))),
            tls_files=_tls_files(
                arguments.tls_ca_file, arguments.tls_cert_file, arguments.tls_key_file
            ),
            admission_host=admission_host,
            admission_port=admission_port,
            admission_webhook=arguments.admission_webhook,
            token_audience=arguments.token_audience,
            advertise_address=arguments.advertise_address
            and "{}:{}".format(*flags.address(arguments.advertise_address)),
            lease=arguments.lease,
            identity=arguments.identity,
            consul_address=arguments.consul_address or None,
            consul_namespace=arguments.consul_namespace,
            consul_name=arguments.consul_name or None,
            force_consul_name=arguments.force_consul_name,
            consul_kubernetes_namespace=arguments.consul_kubernetes_namespace,
            consul_access=flags.consul_access(arguments, os.environ),
            liveness_host=liveness_host,
            liveness_port=liveness_port,
            metrics_host=metrics_host,
            metrics_port=metrics_port,
            dns_timeout_seconds=arguments.dns_timeout,
            log_format=arguments.log_format,
        )


def _tls_files(trusted: str, chain: str, key: str) -> TlsFiles | None:
    given = [bool(name) for name in (trusted, chain, key)]
    if any(given) and not all(given):
        msg = "--tls-ca-file, --tls-cert-file and --tls-key-file go together"
        raise SystemExit(f"factotum-operator: {msg}")
    return TlsFiles(trusted, chain, key) if all(given) else None


def _templates(arguments: argparse.Namespace) -> tuple[Mapping[str, Any], ...]:
    audience = arguments.token_audience
    given = (
        flags.template_of_resources(arguments.runner_resources, audience),
        flags.pod_template(arguments.runner_pod_template, audience),
    )
    return tuple(template for template in given if template)


def _own_namespace() -> str:
    """Return the namespace that this process's Pod is in."""
    try:
        return _SERVICE_ACCOUNT.read_text("ascii").strip()
    except OSError:
        return Settings().operator_namespace


def _add_limits(
    add: Callable[..., None], parser: argparse.ArgumentParser, defaults: Settings
) -> None:
    add("--max-workers", defaults.max_workers, "attempts that may run at once", type=flags.positive)
    add(
        "--max-workers-per-namespace",
        0,
        "of them in one namespace; 0: as many as there are",
        type=flags.natural,
    )
    add(
        "--max-jobs",
        defaults.max_jobs,
        "jobs that may wait before submissions are refused; FactotumJobs beyond wait all the same",
        type=flags.positive,
    )
    parser.add_argument(
        "--drain",
        action="store_true",
        default=os.environ.get("FACTOTUM_DRAIN", "") not in ("", "0", "false"),
        help="refuse submissions to the job server; FactotumJobs that are there go on",
    )


def _add_pods(add: Callable[..., None], defaults: Settings) -> None:
    """Add what jobs' Pods are made from."""
    add(
        "--runner-image",
        defaults.runner_image,
        "image of the Pods that run jobs, or that brings the runner into theirs",
    )
    add("--runner-image-pull-policy", defaults.runner_image_pull_policy, "its pull policy")
    add(
        "--image-volumes",
        defaults.image_volumes,
        "whether the runner is mounted into a job's own image as a volume, instead of copied into"
        " it; auto: if all Nodes can",
        choices=("auto", "always", "never"),
    )
    add(
        "--runner-resources",
        "",
        "what a job's container asks for, as JSON, if the job says nothing",
    )
    add(
        "--runner-pod-template",
        "",
        "metadata and spec, as JSON, that are laid over the Pod of each job, before what it says",
    )


def _add_lifetimes(add: Callable[..., None]) -> None:
    """Add how long Pods may take, and what is kept of finished jobs."""
    defaults = Settings()
    add(
        "--pod-pending-timeout",
        defaults.pod_pending_timeout,
        "seconds after which a Pod that has not started is made anew; 0: never",
        type=flags.seconds,
    )
    for outcome in ("successful", "failed"):
        add(
            f"--{outcome}-jobs-history-limit",
            "",
            f"finished jobs to keep in each namespace, of those {outcome}; none: all",
            type=flags.limit,
        )
        add(
            f"--{outcome}-pods-history-limit",
            "",
            f"finished jobs whose Pods to keep in each namespace, of those {outcome}; none: all",
            type=flags.limit,
        )


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="factotum-operator",
        description="Runs FactotumJobs: one Pod per job.",
        epilog="Each option may be given as an environment variable: "
        "--max-workers as FACTOTUM_MAX_WORKERS, and so on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def add(flag: str, default: object, text: str, **more: object) -> None:
        name = _PREFIX + flag.removeprefix("--").replace("-", "_").upper()
        parser.add_argument(flag, default=os.environ.get(name, default), help=text, **more)  # type: ignore[arg-type]  # argparse's own keywords

    parser.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        help="namespace to watch, may be repeated (default: all)",
    )
    _add_limits(add, parser, defaults)
    _add_pods(add, defaults)
    _add_lifetimes(add)
    add(
        "--claims-address",
        f"{defaults.claims_host}:{defaults.claims_port}",
        "HOST:PORT to serve claims and reports at",
    )
    add("--claims-url", defaults.claims_url, "URL where Pods find claims and reports")
    _add_tls(parser, add, defaults)
    add("--token-audience", defaults.token_audience, "audience of the Pods' tokens")
    _add_consul(parser, add, defaults)
    for flag, host, port, pages in (
        ("--liveness-address", defaults.liveness_host, defaults.liveness_port, "/healthz, /readyz"),
        ("--metrics-address", defaults.metrics_host, defaults.metrics_port, "/metrics"),
    ):
        add(flag, f"{host}:{port}", f"HOST:PORT to serve {pages} at; port 0: nowhere")
    add(
        "--dns-timeout",
        defaults.dns_timeout_seconds,
        "seconds a host constraint's name may take to resolve",
        type=float,
    )
    add("--log-format", defaults.log_format, "form of the log", choices=("text", "json"))
    _add_replicas(add, defaults)
    return parser


def _add_consul(
    parser: argparse.ArgumentParser, add: Callable[..., None], defaults: Settings
) -> None:
    """Add what concerns the mirror."""
    add("--consul-address", "", "HOST:PORT of Consul; none: no mirror")
    add("--consul-namespace", defaults.consul_namespace, "first part of the keys in Consul")
    add("--consul-name", "", "lastRunFrom of our entries; none: from the cluster's identity")
    parser.add_argument(
        "--force-consul-name",
        action="store_true",
        default=os.environ.get("FACTOTUM_FORCE_CONSUL_NAME", "") not in ("", "0", "false"),
        help="accept the consul name 'factotum', which old servers share",
    )
    add(
        "--consul-kubernetes-namespace",
        defaults.consul_kubernetes_namespace,
        "namespace whose keys carry no namespace",
    )
    add("--consul-token-file", "", "file with the token for Consul; read again every few seconds")
    parser.add_argument(
        "--consul-tls",
        action="store_true",
        default=os.environ.get("FACTOTUM_CONSUL_TLS", "") not in ("", "0", "false"),
        help="speak TLS to Consul; so do the flags that follow",
    )
    add("--consul-ca-file", "", "who vouches for Consul, PEM; none: whom the system trusts")
    add("--consul-cert-file", "", "certificate to show to Consul, PEM")
    add("--consul-key-file", "", "its key")
    add("--consul-tls-name", "", "name in Consul's certificate; none: the address's")


def _add_replicas(add: Callable[..., None], defaults: Settings) -> None:
    """Add what concerns several operators of one kind."""
    add(
        "--lease",
        defaults.lease,
        "NAMESPACE/NAME of the Lease by which replicas settle who leads",
        type=flags.lease,
    )
    add(
        "--identity",
        defaults.identity,
        "this replica's name in the Lease: one that no other process can have while it lives, "
        "such as a Pod's; it may lead again at once after a crash (empty: made up at each start)",
        type=flags.identity,
    )
    add(
        "--advertise-address",
        defaults.advertise_address,
        "HOST:PORT at which other replicas reach the claims port (empty: as --claims-address says)",
    )


def _add_tls(parser: argparse.ArgumentParser, add: Callable[..., None], defaults: Settings) -> None:
    add(
        "--operator-namespace",
        "",
        "namespace of the operator's own objects; none: that of its Pod, else factotum-system",
    )
    add("--tls-secret", defaults.tls_secret, "Secret there that keeps our certificates")
    parser.add_argument(
        "--tls-name",
        action="append",
        metavar="NAME",
        help="further host name or address that our certificate is for, may be repeated",
    )
    add("--tls-cert-file", "", "certificate to use instead of our own, PEM; read again each minute")
    add("--tls-key-file", "", "its key")
    add("--tls-ca-file", "", "certificates of who vouches for it: what Pods are told to trust")
    add(
        "--admission-address",
        f"{defaults.admission_host}:{defaults.admission_port}",
        "HOST:PORT to serve the admission webhook at; port 0: nowhere",
    )
    add(
        "--admission-webhook",
        "",
        "ValidatingWebhookConfiguration that is told our authority; none: somebody else does",
    )
