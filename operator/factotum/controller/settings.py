"""The operator's settings: flags, or the environment, read once."""

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

_PREFIX: Final = "FACTOTUM_"


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
    """Image of the Pods that run jobs."""
    runner_image_pull_policy: str = "IfNotPresent"
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
    claims_url: str = "http://factotum-operator.factotum-system.svc:8080"
    """Where Pods find them."""
    token_audience: str = "factotum-operator"  # noqa: S105 - an audience
    """What the Pods' tokens are made for."""
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
    liveness_host: str = "0.0.0.0"  # noqa: S104 - the kubelet asks from outside
    liveness_port: int = 8081
    """Where ``/healthz`` is served; 0: nowhere."""
    dns_timeout_seconds: float = 5.0
    """How long a host constraint's name may take to resolve."""
    log_format: str = "plain"

    @classmethod
    def from_arguments(cls, argv: Sequence[str]) -> Self:
        """Read the command line; flags left out come from FACTOTUM_... variables."""
        arguments = _parser().parse_args(argv)
        claims_host, claims_port = _address(arguments.claims_address)
        liveness_host, liveness_port = _address(arguments.liveness_address)
        namespaces = arguments.namespace or _split(os.environ.get("FACTOTUM_NAMESPACE"))
        return cls(
            namespaces=tuple(namespaces),
            max_workers=arguments.max_workers,
            max_workers_per_namespace=arguments.max_workers_per_namespace or None,
            max_jobs=arguments.max_jobs,
            drain=arguments.drain,
            runner_image=arguments.runner_image,
            runner_image_pull_policy=arguments.runner_image_pull_policy,
            pod_pending_timeout=arguments.pod_pending_timeout,
            successful_jobs_history_limit=arguments.successful_jobs_history_limit,
            failed_jobs_history_limit=arguments.failed_jobs_history_limit,
            successful_pods_history_limit=arguments.successful_pods_history_limit,
            failed_pods_history_limit=arguments.failed_pods_history_limit,
            claims_host=claims_host,
            claims_port=claims_port,
            claims_url=arguments.claims_url.rstrip("/"),
            token_audience=arguments.token_audience,
            consul_address=arguments.consul_address or None,
            consul_namespace=arguments.consul_namespace,
            consul_name=arguments.consul_name or None,
            force_consul_name=arguments.force_consul_name,
            consul_kubernetes_namespace=arguments.consul_kubernetes_namespace,
            liveness_host=liveness_host,
            liveness_port=liveness_port,
            dns_timeout_seconds=arguments.dns_timeout,
            log_format=arguments.log_format,
        )


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        msg = f"'{text}' is no address: it must be HOST:PORT"
        raise SystemExit(f"factotum-operator: {msg}")
    return host, int(port)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        msg = "must be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        msg = "must be at least 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def _add_limits(
    add: Callable[..., None], parser: argparse.ArgumentParser, defaults: Settings
) -> None:
    add("--max-workers", defaults.max_workers, "attempts that may run at once", type=_positive)
    add(
        "--max-workers-per-namespace",
        0,
        "of them in one namespace; 0: as many as there are",
        type=_natural,
    )
    add(
        "--max-jobs",
        defaults.max_jobs,
        "jobs that may wait before submissions are refused; FactotumJobs beyond wait all the same",
        type=_positive,
    )
    parser.add_argument(
        "--drain",
        action="store_true",
        default=os.environ.get("FACTOTUM_DRAIN", "") not in ("", "0", "false"),
        help="refuse submissions to the job server; FactotumJobs that are there go on",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        msg = "must be a number of seconds, or 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def _limit(text: str) -> int | None:
    """Read how many to keep; nothing: all."""
    if not text:
        return None
    number = int(text)
    if number < 0:
        msg = "must be at least 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def _add_lifetimes(add: Callable[..., None]) -> None:
    """Add how long Pods may take, and what is kept of finished jobs."""
    defaults = Settings()
    add(
        "--pod-pending-timeout",
        defaults.pod_pending_timeout,
        "seconds after which a Pod that has not started is made anew; 0: never",
        type=_seconds,
    )
    for outcome in ("successful", "failed"):
        add(
            f"--{outcome}-jobs-history-limit",
            "",
            f"finished jobs to keep in each namespace, of those {outcome}; none: all",
            type=_limit,
        )
        add(
            f"--{outcome}-pods-history-limit",
            "",
            f"finished jobs whose Pods to keep in each namespace, of those {outcome}; none: all",
            type=_limit,
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
    add("--runner-image", defaults.runner_image, "image of the Pods that run jobs")
    add("--runner-image-pull-policy", defaults.runner_image_pull_policy, "its pull policy")
    _add_lifetimes(add)
    add(
        "--claims-address",
        f"{defaults.claims_host}:{defaults.claims_port}",
        "HOST:PORT to serve claims and reports at",
    )
    add("--claims-url", defaults.claims_url, "URL where Pods find claims and reports")
    add("--token-audience", defaults.token_audience, "audience of the Pods' tokens")
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
    add(
        "--liveness-address",
        f"{defaults.liveness_host}:{defaults.liveness_port}",
        "HOST:PORT to serve /healthz at; port 0: nowhere",
    )
    add(
        "--dns-timeout",
        defaults.dns_timeout_seconds,
        "seconds a host constraint's name may take to resolve",
        type=float,
    )
    add("--log-format", defaults.log_format, "form of the log", choices=("plain", "json"))
    return parser
