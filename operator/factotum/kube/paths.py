"""Every path of the Kubernetes API that we ask for, built here and nowhere else.

A path is made of segments, and no segment of checked names can leave its
place: what is no name of a namespace or object is refused before there is a
request, and what is left is quoted. ``Path`` is a type of its own, so that the
client takes nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NewType
from urllib.parse import quote, urlencode

from factotum.kube import errors, names

Path = NewType("Path", str)
"""The path of a request, every segment checked and quoted."""

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_LENGTH: Final = 253


class BadNameError(errors.InvalidError):
    """What should name an object or a namespace cannot be one's name."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object: where the API serves it."""

    root: str
    plural: str
    is_namespaced: bool = True


JOBS: Final = Resource(f"/apis/{names.API_VERSION}", names.PLURAL)
PODS: Final = Resource("/api/v1", "pods")
CONFIG_MAPS: Final = Resource("/api/v1", "configmaps")
SECRETS: Final = Resource("/api/v1", "secrets")
EVENTS: Final = Resource("/api/v1", "events")
NODES: Final = Resource("/api/v1", "nodes", is_namespaced=False)
NAMESPACES: Final = Resource("/api/v1", "namespaces", is_namespaced=False)
LEASES: Final = Resource("/apis/coordination.k8s.io/v1", "leases")
TOKEN_REVIEWS: Final = Resource("/apis/authentication.k8s.io/v1", "tokenreviews", False)
ACCESS_REVIEWS: Final = Resource("/apis/authorization.k8s.io/v1", "subjectaccessreviews", False)
VALIDATING_WEBHOOKS: Final = Resource(
    "/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", False
)

OPENID_CONFIGURATION: Final = Path("/.well-known/openid-configuration")
OPENID_KEYS: Final = Path("/openid/v1/jwks")
"""What the API server publishes about the tokens that it signs."""


def is_object_name(text: object) -> bool:
    """Whether a ConfigMap, a Pod or a Node could have this name (DNS subdomain, RFC 1123)."""
    return (
        isinstance(text, str)
        and len(text) <= _SUBDOMAIN_LENGTH
        and _SUBDOMAIN.fullmatch(text) is not None
    )


def is_namespace(text: object) -> bool:
    """Whether a namespace could have this name (DNS label, RFC 1123)."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def collection(resource: Resource, namespace: str | None = None) -> Path:
    """Return the path of all objects of a kind, of one namespace if it is given.

    Raises:
        BadNameError: the namespace cannot be one.
    """
    if namespace is None:
        return Path(f"{resource.root}/{resource.plural}")
    if not resource.is_namespaced or not is_namespace(namespace):
        raise BadNameError(f"{namespace!r:.80} is no namespace of {resource.plural}")
    return Path(f"{resource.root}/namespaces/{quote(namespace, safe='')}/{resource.plural}")


def item(resource: Resource, name: str, namespace: str | None = None) -> Path:
    """Return the path of one object.

    Raises:
        BadNameError: name or namespace cannot be one's.
    """
    if not is_object_name(name) or resource.is_namespaced is (namespace is None):
        raise BadNameError(f"{name!r:.80} is no name of one of the {resource.plural}")
    return Path(f"{collection(resource, namespace)}/{quote(name, safe='')}")


def path_of(resource: Resource, metadata: Mapping[str, Any]) -> Path:
    """Return the path of an object of a kind, by its metadata.

    Raises:
        BadNameError: its name or namespace cannot be one's.
    """
    return item(resource, metadata["name"], metadata.get("namespace"))


def status_of(path: Path) -> Path:
    """Return the path of an object's status."""
    return Path(f"{path}/status")


def with_query(path: Path, query: Mapping[str, str | int]) -> Path:
    """Return the path with a query; empty values are left out."""
    given = {name: value for name, value in query.items() if value != ""}
    return Path(f"{path}?{urlencode(given)}") if given else path


def job(namespace: str, name: str) -> Path:
    """Return the path of one FactotumJob."""
    return item(JOBS, name, namespace)


def pod(namespace: str, name: str) -> Path:
    """Return the path of one Pod."""
    return item(PODS, name, namespace)


def config_map(namespace: str, name: str) -> Path:
    """Return the path of one ConfigMap."""
    return item(CONFIG_MAPS, name, namespace)


def pod_log(namespace: str, name: str, container: str, *, follow: bool) -> Path:
    """Return the path of what a Pod's container has printed.

    Args:
        follow: whether the answer lasts as long as the container.
    """
    query = {"container": container, "follow": "true" if follow else ""}
    return with_query(Path(f"{pod(namespace, name)}/log"), query)
