"""Folders from which images are made: gathered without copying, and told apart by their content."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def content_hash(folder: Path) -> str:
    """Hash names and contents of all files below a folder, and whether they are programs."""
    digest = hashlib.sha256()
    for path in files_below(folder):
        program = "111" if path.stat().st_mode & 0o100 else "0"  # whatever the checkout's umask
        digest.update(f"{path.relative_to(folder)} {program}\n".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """List all files below a folder in a fixed order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def fresh_folder(folder: Path) -> Path:
    """Make an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file or folder there without copying its bytes, where the file system allows it."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=lambda a, b: link_or_copy(Path(a), Path(b)))
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def text_hash(*texts: str) -> str:
    """Hash some texts, and where one ends and the next begins."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
