"""What is in an image, by its archive alone: Debian's packages, Python's, the interpreter, our own.

Nothing is asked of the machine that built it, so a list made from this is of what people pull.
"""

from __future__ import annotations

import email.message
import email.parser
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

PORTABLE = "opt/factotum/portable/"
_DPKG = "var/lib/dpkg/"
# Files whose content is looked at; of the others only the names.
_READ = re.compile(
    r"var/lib/dpkg/status|var/lib/dpkg/info/[^/]+\.list|usr/share/doc/[^/]+/copyright"
    r"|usr/lib/os-release|.*\.dist-info/METADATA|opt/factotum[^/]*/factotum/__init__\.py"
)
_WHITEOUT = ".wh."


class BadArchiveError(Exception):
    """The archive is no OCI image."""


class Image(NamedTuple):
    """An image as it would be run.

    Attributes:
        digest: of its manifest: what `NAME@sha256:...` names.
        config: the image's own settings: user, variables, labels.
        names: every path in it, without a slash at the start.
        texts: contents of those files that say what is in it, by path.
    """

    name: str
    digest: str
    config: dict[str, Any]
    names: frozenset[str]
    texts: dict[str, str]


class DebianPackage(NamedTuple):
    """A package that dpkg knows as installed."""

    name: str
    version: str
    architecture: str
    source: str
    licenses: tuple[str, ...]


class PythonPackage(NamedTuple):
    """A distribution beside the modules that it brought.

    Attributes:
        expression: its license as an SPDX expression, if it says so.
        licenses: else what it calls its licenses.
    """

    name: str
    version: str
    expression: str
    licenses: tuple[str, ...]


def read_image(archive: Path) -> Image:
    """Read an archive with one image in it, layer by layer, as a container runtime does."""
    try:
        return _read(archive)
    except (tarfile.TarError, KeyError, ValueError, EOFError) as error:
        raise BadArchiveError(f"{archive} is no OCI archive of one image: {error}") from None


def _read(archive: Path) -> Image:
    with tarfile.open(archive) as content:
        index = json.load(_member(content, "index.json"))
        described = index["manifests"][0]
        manifest = json.load(_blob(content, described))
        config = json.load(_blob(content, manifest["config"]))
        texts: dict[str, str] = {}
        names: set[str] = set()
        for layer in manifest["layers"]:
            _lay(_blob(content, layer), names, texts)
    name = described.get("annotations", {}).get("org.opencontainers.image.ref.name", archive.stem)
    return Image(name, described["digest"], config, frozenset(names), texts)


def _lay(layer: IO[bytes], names: set[str], texts: dict[str, str]) -> None:
    """Lay a layer over what is there."""
    with tarfile.open(fileobj=layer) as files:
        for member in files:
            path = member.name.removeprefix("./").strip("/")
            folder, _, last = path.rpartition("/")
            if last.startswith(_WHITEOUT):
                gone = f"{folder}/{last.removeprefix(_WHITEOUT)}".strip("/")
                for name in [n for n in names if n == gone or n.startswith(f"{gone}/")]:
                    names.discard(name)
                    texts.pop(name, None)
                continue
            names.add(path)
            if member.isfile() and _READ.fullmatch(path):
                file = files.extractfile(member)
                texts[path] = file.read().decode(errors="replace") if file else ""


def _blob(archive: tarfile.TarFile, descriptor: dict[str, Any]) -> IO[bytes]:
    return _member(archive, "blobs/" + str(descriptor["digest"]).replace(":", "/"))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise BadArchiveError(f"{archive.name!r}: {name} is no file")
    return file


def operating_system(image: Image) -> dict[str, str]:
    """Read os-release: NAME, ID, VERSION_ID and others."""
    text = image.texts.get("usr/lib/os-release", "")
    found = re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE)
    return dict(found)


def debian_packages(image: Image) -> list[DebianPackage]:
    """List what dpkg has installed, by name."""
    packages = []
    for paragraph in image.texts.get(f"{_DPKG}status", "").split("\n\n"):
        fields = _fields(paragraph)
        if not fields.get("Status", "").endswith(" installed"):
            continue
        # "name (version)" where it is not the package's own.
        source = fields.get("Source", fields["Package"]).partition(" ")[0]
        text = image.texts.get(f"usr/share/doc/{fields['Package']}/copyright", "")
        packages.append(
            DebianPackage(
                fields["Package"],
                fields["Version"],
                fields["Architecture"],
                source,
                _debian_licenses(text),
            )
        )
    return sorted(packages)


def _fields(paragraph: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z-]+): *(.*)$", paragraph, re.MULTILINE))


def _debian_licenses(copyright_file: str) -> tuple[str, ...]:
    """Name the licenses of a machine-readable copyright file; of others nothing is known."""
    if "copyright-format/1.0" not in copyright_file[:400]:
        return ()
    names = re.findall(r"^License: *(\S[^\n]*)$", copyright_file, re.MULTILINE)
    return tuple(sorted({name.strip() for name in names}))


def python_packages(image: Image) -> list[PythonPackage]:
    """List the distributions that are in the image, wherever they lie."""
    parser = email.parser.HeaderParser()
    found = set()
    for path, text in image.texts.items():
        if path.endswith(".dist-info/METADATA"):
            told = parser.parsestr(text)
            found.add(
                PythonPackage(
                    str(told["Name"]),
                    str(told["Version"]),
                    str(told["License-Expression"] or ""),
                    _python_licenses(told),
                )
            )
    return sorted(found)


def _python_licenses(told: email.message.Message) -> tuple[str, ...]:
    classified = [
        str(line).rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if str(line).startswith("License :: ") and str(line) != "License :: OSI Approved"
    ]
    if classified:
        return tuple(sorted(set(classified)))
    # Some put the whole text there.
    word = str(told["License"] or "").strip()
    return (word,) if word and "\n" not in word and len(word) < 80 else ()


def interpreter_version(image: Image) -> str:
    """Tell which Python it is, as the image or Debian's package says; empty if neither does."""
    said = dict(
        line.partition("=")[::2] for line in image.config.get("config", {}).get("Env") or ()
    )
    if "PYTHON_VERSION" in said:
        return str(said["PYTHON_VERSION"])
    for package in debian_packages(image):
        if re.fullmatch(r"python3\.\d+-minimal", package.name):
            return package.version.partition("-")[0]
    return ""


def own_version(image: Image) -> str:
    """Tell the version of our own package in the image."""
    for path, text in image.texts.items():
        if path.endswith("/factotum/__init__.py"):
            found = re.search(r'__version__ = "([^"]+)"', text)
            if found:
                return found[1]
    return ""


def copied_from(image: Image) -> dict[str, list[str]]:
    """Tell which Debian packages the portable runner's files were copied from, and which files."""
    libraries = {n.removeprefix(PORTABLE) for n in image.names if n.startswith(PORTABLE)}
    origin: dict[str, list[str]] = {}
    for path, package in _packaged(image):
        last = PurePosixPath(path).name
        if f"lib/{last}" in libraries and ".so" in last:
            origin.setdefault(package, []).append(f"lib/{last}")
        elif f"lib/python3.11/lib-dynload/{last}" in libraries:
            origin.setdefault(package, []).append(f"lib/python3.11/lib-dynload/{last}")
        elif re.fullmatch(r"/usr/bin/python3\.\d+", path) and "bin/python3" in libraries:
            origin.setdefault(package, []).append("bin/python3")
        elif re.fullmatch(r".*/ld-linux[^/]*\.so\.\d+", path) and "lib/loader" in libraries:
            origin.setdefault(package, []).append("lib/loader")
    return {package: sorted(set(paths)) for package, paths in sorted(origin.items())}


def _packaged(image: Image) -> Iterator[tuple[str, str]]:
    """Give every file that a Debian package brought, with the package's name."""
    for path, text in image.texts.items():
        if path.startswith(f"{_DPKG}info/"):
            package = PurePosixPath(path).stem.partition(":")[0]
            for line in text.splitlines():
                yield line, package
