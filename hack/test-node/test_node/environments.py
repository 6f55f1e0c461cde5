"""The environment of a Pod's container, as a kubelet puts it together from its spec."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from test_node.api import Api, ApiError, RawObject

_SOURCES: Final = {
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
}


class ConfigError(Exception):
    """What the environment needs is not there; a kubelet waits and tries again."""


async def _content(
    api: Api, namespace: str, kind: str, reference: Mapping[str, Any]
) -> dict[str, str] | None:
    collection = _SOURCES[kind]
    path = f"/api/v1/namespaces/{namespace}/{collection}/{reference['name']}"
    try:
        found = await api.request("GET", path)
    except ApiError as error:
        if error.status == 404 and reference.get("optional"):
            return None
        raise ConfigError(f"{collection} {reference['name']}: {error}") from error
    raw: dict[str, str] = found.get("data") or {}
    if collection == "secrets":
        return {key: base64.b64decode(value).decode() for key, value in raw.items()}
    return raw


def _field(pod: RawObject, path: str) -> str:
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match:
        return str(pod["metadata"].get(match[1], {}).get(match[2], ""))
    value: Any = pod
    for key in path.split("."):
        value = value.get(key, "") if isinstance(value, dict) else ""
    return str(value)


async def _value_from(api: Api, pod: RawObject, source: Mapping[str, Any]) -> str | None:
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    kind = next((kind for kind in source if kind in _SOURCES), None)
    if kind is None:
        raise ConfigError(f"the test node knows no environment from {', '.join(source)}")
    reference = source[kind]
    content = await _content(api, pod["metadata"]["namespace"], kind, reference)
    if content is not None and reference["key"] in content:
        return content[reference["key"]]
    if reference.get("optional"):
        return None
    raise ConfigError(f"{reference['name']} has no key {reference['key']}")


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) of known variables; $$(NAME) is the text $(NAME)."""

    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return known.get(match[2], match[0])

    return re.sub(r"(\$?)\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)", replaced, text)


async def resolve(api: Api, pod: RawObject, container: RawObject) -> dict[str, str]:
    """Give all variables of a container: envFrom first, env over it, in order."""
    namespace = pod["metadata"]["namespace"]
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        kind = next(kind for kind in source if kind in _SOURCES)
        content = await _content(api, namespace, kind, source[kind])
        prefix = source.get("prefix", "")
        variables |= {f"{prefix}{key}": value for key, value in (content or {}).items()}
    for entry in container.get("env") or []:
        if "valueFrom" in entry:
            value = await _value_from(api, pod, entry["valueFrom"])
            if value is not None:
                variables[entry["name"]] = value
        else:
            variables[entry["name"]] = expand(entry.get("value", ""), variables)
    return variables
