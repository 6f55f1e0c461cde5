"""Write a bill of materials for each image: build/images/NAME.cdx.json, CycloneDX 1.6.

It is made from the image's archive alone and checked against CycloneDX's own schema before it is
written. The same image gives the same file. Needs the project's tools (`make install`).

Usage: sbom.py [ARCHIVE...]   (default: the runner's and the operator's in build/images)
"""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for whoever loads this file by its path

import contents
import provenance
from contents import DebianPackage, Image, PythonPackage
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft7Validator
from packageurl import PackageURL
from rfc3986_validator import validate_rfc3986  # type: ignore[import-untyped]

OUT = provenance.ROOT / "build" / "images"
NAMES = ("runner", "operator")
_NAMESPACE = uuid.UUID("7f2d5c3e-3c0a-5d54-9c1b-6f3f3a0f2b11")
"""Serial numbers are made from this and the image's digest."""


def main() -> int:
    """Write a bill beside each archive."""
    archives = [Path(word) for word in sys.argv[1:]] or [OUT / f"{name}.tar" for name in NAMES]
    for archive in archives:
        if not archive.exists():
            print(f"make sbom: no {archive}; cure: make images", file=sys.stderr)
            return 1
        try:
            bom = build_bom(contents.read_image(archive))
        except contents.BadArchiveError as error:
            print(f"make sbom: {error}", file=sys.stderr)
            return 1
        text = JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
        if wrong := what_is_wrong(text):
            print(f"make sbom: {archive}: no valid CycloneDX: {wrong}", file=sys.stderr)
            return 1
        target = archive.with_suffix(".cdx.json")
        target.write_text(text)
        print(f"  {target.name}: {len(bom.components)} components of {bom.metadata.component}")
    return 0


def is_address(value: object) -> bool:
    """Tell whether a text of the format `iri-reference` is one: in ASCII, as all of ours are."""
    return not isinstance(value, str) or bool(validate_rfc3986(value, rule="URI_reference"))


Draft7Validator.FORMAT_CHECKER.checks("iri-reference")(is_address)


def what_is_wrong(bill: str) -> str:
    """Say why a bill, as JSON, is no valid CycloneDX 1.6; "" if it is."""
    return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) or "")


def build_bom(image: Image) -> Bom:
    """Describe an image. The same image gives the same bill."""
    subject = build_subject(image)
    distribution = contents.operating_system(image)
    packages = contents.debian_packages(image)
    debian = {p.name: build_debian(p, distribution) for p in packages}
    parts = [
        *debian.values(),
        *(build_python(package) for package in contents.python_packages(image)),
        build_own(image, debian),
    ]
    if distribution:
        parts.append(
            Component(
                name=distribution.get("ID", "linux"),
                version=distribution.get("VERSION_ID"),
                type=ComponentType.OPERATING_SYSTEM,
                bom_ref="os",
            )
        )
    if version := contents.interpreter_version(image):
        parts.append(
            Component(
                name="python", version=version, type=ComponentType.PLATFORM, bom_ref="interpreter"
            )
        )
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, image.digest),
        metadata=BomMetaData(component=subject, timestamp=time_of(image)),
        components=parts,
    )
    bom.register_dependency(subject, parts)
    return bom


def time_of(image: Image) -> datetime:
    """Give the time of the commit that it says it was built from, else the one of its files."""
    labels = image.config.get("config", {}).get("Labels") or {}
    if said := labels.get(f"{provenance.PREFIX}created"):
        return datetime.fromisoformat(said)
    return datetime.fromtimestamp(provenance.EPOCH, UTC)


def build_subject(image: Image) -> Component:
    """Describe the image itself: its digest, and what it says of itself."""
    name = re.sub(r"^.*/|:[^:/]*$", "", image.name)
    labels = image.config.get("config", {}).get("Labels") or {}
    said = {k: v for k, v in labels.items() if k.startswith(provenance.PREFIX)}
    return Component(
        name=name,
        version=said.get(f"{provenance.PREFIX}version"),
        type=ComponentType.CONTAINER,
        bom_ref="image",
        purl=PackageURL("oci", None, name, image.digest, {"arch": image.config["architecture"]}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image.digest.partition(":")[2])],
        properties=[Property(name=key, value=value) for key, value in sorted(said.items())],
    )


def build_debian(package: DebianPackage, distribution: dict[str, str]) -> Component:
    """Describe a Debian package, as scanners look it up."""
    qualifiers = {"arch": package.architecture}
    if distribution.get("ID"):
        version = distribution.get("VERSION_ID", "")
        qualifiers["distro"] = f"{distribution['ID']}-{version}".rstrip("-")
    if package.source != package.name:
        qualifiers["upstream"] = package.source
    kind = distribution.get("ID", "debian")
    purl = PackageURL("deb", kind, package.name, package.version, qualifiers)
    return Component(
        name=package.name,
        version=package.version,
        bom_ref=f"deb:{package.name}",
        purl=purl,
        licenses=named(package.licenses),
    )


def build_python(package: PythonPackage) -> Component:
    """Describe a Python package."""
    licenses: Iterable[License] = named(package.licenses)
    if package.expression:
        licenses = [LicenseExpression(package.expression)]
    normal = re.sub(r"[-_.]+", "-", package.name).lower()
    return Component(
        name=package.name,
        version=package.version,
        bom_ref=f"pypi:{normal}@{package.version}",
        purl=PackageURL("pypi", None, normal, package.version),
        licenses=licenses,
    )


def build_own(image: Image, debian: dict[str, Component]) -> Component:
    """Describe our own package, and what was copied beside it to make the portable runner."""
    copies = []
    for name, paths in contents.copied_from(image).items():
        origin = debian[name]
        copies.append(
            Component(
                name=name,
                version=origin.version,
                bom_ref=f"portable:{name}",
                purl=origin.purl,
                licenses=origin.licenses,
                properties=[
                    Property(name="factotum:copied-to", value=contents.PORTABLE + path)
                    for path in paths
                ],
            )
        )
    return Component(
        name="factotum-operator",
        version=contents.own_version(image),
        type=ComponentType.APPLICATION,
        bom_ref="factotum",
        licenses=[LicenseExpression("Apache-2.0")],
        components=copies,
    )


def named(licenses: Iterable[str]) -> list[License]:
    """Name licenses in their own words."""
    return [DisjunctiveLicense(name=name) for name in licenses]


if __name__ == "__main__":
    sys.exit(main())
