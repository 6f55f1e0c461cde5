"""Put the runner into one folder that needs nothing of the image that it is started in.

Runs while the runner's image is built, by the Python that is to be in the folder:

    python3 gather.py PACKAGE FOLDER

PACKAGE is our own (`.../factotum`). The folder gets Python with the modules that the package can
import, all shared libraries and their loader, the certificates of whom to trust, and the two files
that start it. Nothing in it depends on the machine's architecture but the files themselves.
"""

import ctypes
import modulefinder
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"

# Found by name while Python runs, not by an import statement.
WANTED_BY_NAME = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.utf_8",
    "encodings.utf_8_sig",
)
# What modules of the library import for uses that are not ours: their own command lines, tests,
# other systems, archives, processes by other means. tests/images runs the folder without them.
LEFT_OUT = (
    *("_aix_support", "_bootsubprocess", "_osx_support", "_pydecimal", "_testcapi"),
    *("_testinternalcapi", "asyncio", "bdb", "cmd", "code", "codeop", "concurrent", "csv"),
    *("difflib", "distutils", "doctest", "ftplib", "gettext", "html", "lib2to3", "multiprocessing"),
    *("netrc", "ntpath", "nturl2path", "optparse", "pdb", "pickle", "plistlib", "py_compile"),
    *("pydoc", "pydoc_data", "readline", "runpy", "socketserver", "statistics", "test"),
    *("tkinter", "unittest", "webbrowser", "xml", "xmlrpc", "zipfile", "tarfile", "lzma", "bz2"),
    "gzip",
)
# A shared library that the C library loads by its name, to end a thread.
UNWINDER = "libgcc_s.so.1"
# Files that the C library looks into wherever it runs, and by which it would load libraries of the
# image into our process. Our copy looks for these instead: there are none, so it keeps to its own.
REDIRECTED = {
    b"/etc/ld.so.preload\0": b"/factotum/none/pre\0",
    b"/etc/nsswitch.conf\0": b"/factotum/none/nss\0",
}
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


def main() -> None:
    """Make the folder anew."""
    package, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("app", "bin", "etc", "lib"):
        (folder / name).mkdir(parents=True)
    copy_package(package, folder / "app" / package.name)
    python = folder / "bin" / "python3"
    shutil.copyfile(sys.executable, python)
    libraries = [python, *copy_modules(package, folder / "lib" / VERSION)]
    copy_libraries(libraries, folder / "lib")
    copy_trust(folder / "etc")
    for name in ("launch", "start.py"):
        shutil.copyfile(HERE / name, folder / name)
    for program in (python, folder / "lib" / "loader"):
        program.chmod(0o755)


def copy_package(package: Path, target: Path) -> None:
    """Compile our package into byte code without sources."""
    for source in sorted(package.rglob("*.py")):
        compile_file(source, target / source.relative_to(package))


def copy_modules(package: Path, target: Path) -> Iterator[Path]:
    """Copy the library's modules that our package can reach; yield the shared objects of them."""
    places = [sysconfig.get_path("stdlib"), f"{sysconfig.get_path('stdlib')}/lib-dynload"]
    finder = modulefinder.ModuleFinder([str(package.parent), *places], excludes=list(LEFT_OUT))
    for source in sorted(package.rglob("*.py")):
        name = ".".join(source.relative_to(package.parent).with_suffix("").parts)
        finder.import_hook(name.removesuffix(".__init__"))
    for name in WANTED_BY_NAME:
        finder.import_hook(name)
    (target / "lib-dynload").mkdir(parents=True)
    for name, module in sorted(finder.modules.items()):
        file, folder = (getattr(module, what, None) for what in ("__file__", "__path__"))
        if not file or name.partition(".")[0] == package.name:
            continue
        source = Path(file)
        if source.suffix == ".py":
            parts = [*name.split("."), *(["__init__"] if folder else [])]
            compile_file(source, target.joinpath(*parts).with_suffix(".py"))
        else:
            yield Path(shutil.copyfile(source, target / "lib-dynload" / source.name))


def compile_file(source: Path, target: Path) -> None:
    """Write byte code that is imported without its source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    py_compile.compile(
        str(source),
        cfile=str(target.with_suffix(".pyc")),
        dfile=target.name,
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def copy_libraries(files: list[Path], target: Path) -> None:
    """Copy all shared libraries that some files need, and the loader under a name of its own."""
    shutil.copyfile(find_library(UNWINDER), target / UNWINDER)
    needing = [*files, target / UNWINDER]
    told = subprocess.run(
        ["ldd", *map(str, needing)], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    for name, path in set(re.findall(r"^\t(\S+) => (/\S+)", told, re.MULTILINE)):
        shutil.copyfile(path, target / name)
    (loader,) = set(re.findall(r"^\t(/\S+) \(0x", told, re.MULTILINE))
    shutil.copyfile(loader, target / "loader")
    for old, new in REDIRECTED.items():
        redirect([target / "loader", target / "libc.so.6"], old, new)


def find_library(name: str) -> str:
    """Return the path of a library as the loader finds it."""
    ctypes.CDLL(name)
    (path,) = set(re.findall(rf"/\S*/{re.escape(name)}$", read_maps(), re.MULTILINE))
    return path


def read_maps() -> str:
    """Return which files this process has in its memory."""
    return Path("/proc/self/maps").read_text()


def redirect(files: list[Path], old: bytes, new: bytes) -> None:
    """Have the C library look for another file."""
    found = 0
    for file in files:
        content = file.read_bytes()
        found += content.count(old)
        file.write_bytes(content.replace(old, new))
    if not found or len(old) != len(new):
        sys.exit(f"gather.py: this C library does not know {old!r}: see how it finds its modules")


def copy_trust(target: Path) -> None:
    """Copy the image's certificates of authorities, and how its TLS library is set up."""
    paths = ssl.get_default_verify_paths()
    found = [path for path in (paths.cafile, *_BUNDLES) if path and Path(path).exists()]
    if not found:
        sys.exit("gather.py: this image has no certificates of authorities (ca-certificates)")
    shutil.copyfile(found[0], target / "authorities.pem")
    settings = Path(paths.openssl_cafile).with_name("openssl.cnf")
    (target / "openssl.cnf").write_bytes(settings.read_bytes() if settings.exists() else b"")


if __name__ == "__main__":
    main()
