"""What the text of a flag means, and what is said about one that means nothing.

Apart from the settings, so that these list what there is and nothing else:
each form is read here once, whichever flags have it.
"""

import argparse
import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from factotum.controller.pod_template.judging import MOST_TOLD, Bounds, violations
from factotum.kube import names, paths
from factotum.persistence.access import Access, ConsulFilesError, ConsulVariableError


def split(text: str | None) -> list[str]:
    """Read a list with commas, as variables have it; nothing: none."""
    return [part for part in (text or "").split(",") if part]


def address(text: str) -> tuple[str, int]:
    """Read a host, which may be empty, and a port."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit():
        msg = f"'{text}' is no address: it must be HOST:PORT"
        raise SystemExit(f"factotum-operator: {msg}")
    return host, int(port)


def lease(text: str) -> str:
    """Read where a Lease is."""
    namespace, separator, name = text.partition("/")
    if not (separator and paths.is_namespace(namespace) and paths.is_object_name(name)):
        msg = "must be NAMESPACE/NAME"
        raise argparse.ArgumentTypeError(msg)
    return text


def identity(text: str) -> str:
    """Read a replica's name; it may be empty."""
    if text and not paths.is_object_name(text):
        msg = "must be a name as Pods have"
        raise argparse.ArgumentTypeError(msg)
    return text


def claims_url(text: str) -> str:
    """Read where Pods find us; there is no way to claim without TLS."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        msg = f"'{text}' is no claims URL: it must be https://HOST[:PORT]"
        raise SystemExit(f"factotum-operator: {msg}")
    return text.rstrip("/")


def positive(text: str) -> int:
    """Read a number of things of which there is one at least."""
    number = int(text)
    if number < 1:
        msg = "must be at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def natural(text: str) -> int:
    """Read a number of things, or 0."""
    number = int(text)
    if number < 0:
        msg = "must be at least 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def seconds(text: str) -> float:
    """Read how long something may take."""
    number = float(text)
    if not 0 <= number < math.inf:
        msg = "must be a number of seconds, or 0"
        raise argparse.ArgumentTypeError(msg)
    return number


def limit(text: str) -> int | None:
    """Read how many to keep; nothing: all."""
    return natural(text) if text else None


def template_of_resources(text: str, audience: str) -> dict[str, Any]:
    """Read what the container of each job asks for, as a template of its Pod; nothing: none."""
    resources = _json_object("--runner-resources", text)
    if not resources:
        return {}
    container = {"name": names.RUNNER_CONTAINER, "resources": resources}
    template = {"spec": {"containers": [container]}}
    return _judged("--runner-resources", template, audience, place="spec.containers[0].resources")


def pod_template(text: str, audience: str) -> dict[str, Any]:
    """Read what is laid over the Pod of each job; nothing: nothing.

    A bad one is told here, at the start, and not at each job.
    """
    template = _json_object("--runner-pod-template", text)
    return _judged("--runner-pod-template", template, audience)


def _json_object(flag: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise SystemExit(f"factotum-operator: {flag} is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise SystemExit(f"factotum-operator: {flag} must be a JSON object")
    return value


def _judged(flag: str, template: dict[str, Any], audience: str, place: str = "") -> dict[str, Any]:
    found = list(violations(template, Bounds(audience), root="", is_default=True))
    if found:
        wrong = [
            f"  {path.lstrip('.').removeprefix(place).lstrip('.') or 'all of it'}: {words}"
            for path, words in found[:MOST_TOLD]
        ]
        wrong += ["  and more"] if len(found) > MOST_TOLD else []
        raise SystemExit(
            "\n".join([f"factotum-operator: {flag} cannot be laid over jobs:", *wrong])
        )
    return template


def consul_access(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Access:
    """Read how Consul lets us in; what Consul's own variables say counts as well."""
    try:
        return Access.of(
            environment,
            tls=arguments.consul_tls,
            ca_file=arguments.consul_ca_file,
            cert_file=arguments.consul_cert_file,
            key_file=arguments.consul_key_file,
            server_name=arguments.consul_tls_name,
            token_file=arguments.consul_token_file,
        )
    except (ConsulVariableError, ConsulFilesError) as exc:
        raise SystemExit(f"factotum-operator: {exc}") from exc
