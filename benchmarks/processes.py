"""Processor time and memory of single processes, as the kernel counts them."""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used, its threads' included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def all_cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Give the processor time of several processes, by name."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def mebibytes(pid: int, field: str) -> float:
    """Give a size of a process: VmRSS is what it has now, VmHWM the most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+)", status)
    if found is None:
        raise LookupError(f"process {pid} has no {field}")
    return int(found[1]) / 1024


def busy_seconds() -> float:
    """Give the processor time of the whole machine, whoever used it."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    fields = [int(field) for field in first.split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / _TICKS


def tree(pid: int) -> set[int]:
    """Give a process and all that it has started, and those started, which still run."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = path.read_text().rpartition(") ")[2].split()
            parents[int(path.parent.name)] = int(words[1])
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds_of_tree(pid: int) -> float:
    """Give the processor time of a process and of all that it has started, ended or not."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def shared_mebibytes_of_tree(pid: int) -> float:
    """Give what a process and its descendants take up: pages that several have, once."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            if found := re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE):
                total += int(found[1])
    return total / 1024
