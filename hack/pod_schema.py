"""Write a Pod's spec into the resource definition, as what `podTemplate.spec` may hold.

    hack/pod_schema.py FOLDER/api/openapi-spec/v3/api__v1_openapi.json

FOLDER is that of the Go module k8s.io/kubernetes, which `go list -m` tells. Each field is there by
name, so that `kubectl apply` tells of one that there is not, `kubectl explain` of those that there
are, and nothing is nested deeper than a Pod: what has no end would be read by nobody. The source is
Kubernetes' own description; of its sentences the first is kept. Run it when a field of a later
Kubernetes shall be known, then `make crds`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

CRD: Final = Path(__file__).resolve().parents[1] / "crds" / "factotumjobs.yaml"
BEGIN: Final = "# made by hack/pod_schema.py"
END: Final = "# end of what is made"
_PREFIX: Final = "#/components/schemas/"
_POD: Final = "io.k8s.api.core.v1.PodSpec"
_AMOUNT: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_EITHER: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_TIME: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_OF_META: Final = ("annotations", "labels")
_NULLABLE: Final = tuple(
    f"io.k8s.api.core.v1.{kind}"
    for kind in (
        "PodSpec",
        "Container",
        "ResourceRequirements",
        "PodSecurityContext",
        "SecurityContext",
    )
)
"""Kinds whose fields can be taken away by null, for they are merged."""
_KEYS: Final = {
    "io.k8s.api.core.v1.Container": ["name"],
    "io.k8s.api.core.v1.EnvVar": ["name"],
    "io.k8s.api.core.v1.Volume": ["name"],
    "io.k8s.api.core.v1.VolumeMount": ["mountPath"],
}
"""What entries are merged by. What else must be there is said of the whole Pod."""
_SENTENCE: Final = 160


class Source:
    """Kubernetes' description of its objects."""

    def __init__(self, text: str) -> None:
        self._schemas: dict[str, Any] = json.loads(text)["components"]["schemas"]

    def schema(self, kind: str) -> dict[str, Any]:
        """Return the schema of a kind, with all that it refers to."""
        raw = self._schemas[kind]
        if kind in (_AMOUNT, _EITHER):
            return {"x-kubernetes-int-or-string": True}
        if kind == _TIME:
            return {"type": "string"}
        if "properties" not in raw:
            return {key: raw[key] for key in ("type", "format") if key in raw}
        names = [n for n in raw["properties"] if kind != _META or n in _OF_META]
        made: dict[str, Any] = {
            "type": "object",
            "properties": {
                name: self._field(raw["properties"][name], is_nullable=kind in _NULLABLE)
                for name in names
            },
        }
        return made | ({"required": _KEYS[kind]} if kind in _KEYS else {})

    def _field(self, raw: dict[str, Any], *, is_nullable: bool) -> dict[str, Any]:
        made = {"description": sentence(raw.get("description", "")), **self._typed(raw)}
        if is_nullable and made.get("type") != "array":
            made["nullable"] = True
            if isinstance(values := made.get("additionalProperties"), dict):
                values["nullable"] = True
        return made

    def _typed(self, raw: dict[str, Any]) -> dict[str, Any]:
        (reference,) = raw.get("allOf") or [raw]
        if "$ref" in reference:
            return self.schema(reference["$ref"].removeprefix(_PREFIX))
        made = {key: raw[key] for key in ("type", "format") if key in raw}
        for inner in ("items", "additionalProperties"):
            if inner in raw:
                made[inner] = {"description": "One of them.", **self._typed(raw[inner])}
        return made


def sentence(text: str) -> str:
    """Return the first sentence of a description."""
    first = re.split(r"(?<=[a-z0-9)\"'`])\.(?:\s|$)", " ".join(text.split()), maxsplit=1)[0]
    cut = first if len(first) <= _SENTENCE else first[:_SENTENCE].rsplit(" ", 1)[0] + " ..."
    return (cut or "As in a Pod").rstrip(".") + "."


def fields(source: Source) -> dict[str, Any]:
    """Return the fields of a Pod's spec."""
    made: dict[str, Any] = source.schema(_POD)["properties"]
    name = {"description": "Its name.", "type": "string"}
    one = {"description": "One of them.", "type": "object", "properties": {"name": name}}
    made["ephemeralContainers"] |= {"items": one}
    return made


def main(path: str) -> None:
    """Write the fields between the marks in the definition."""
    made = fields(Source(Path(path).read_text("utf-8")))
    text = CRD.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    line, _, rest = rest.partition("\n")
    _, _, after = rest.partition(END)
    indent = " " * (len(before) - len(before.rstrip(" ")))
    lines = (f"{name}: {json.dumps(made[name], ensure_ascii=False)}" for name in sorted(made))
    body = "".join(f"{indent}{each}\n" for each in lines)
    CRD.write_text(f"{before}{BEGIN}{line}\n{body}{indent}{END}{after}", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
