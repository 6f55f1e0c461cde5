"""Output in files: what is kept of it, also when the disk is full for a while.

Real: files, and a small disk that is full.
"""

import pytest

from factotum.pod.task_logs import OutputFile, file_name
from support.disks import fill, small_disk

PIECE = 1000


def pieces(folder):
    """Give each piece's offset and bytes, in order."""
    found = sorted(
        (int(path.name.removeprefix("out@").removesuffix(".log")), path.read_bytes())
        for path in folder.glob("out@*.log")
    )
    assert all((folder / file_name("out", offset)).exists() for offset, _ in found)
    return found


def line(number):
    return f"{number:>99}\n".encode()


def test_the_beginning_and_the_end_are_kept_where_they_stood(tmp_path):
    file = OutputFile(str(tmp_path), "out", 4 * PIECE)
    for number in range(200):
        file.append(line(number))

    kept = pieces(tmp_path)

    assert kept[0] == (0, b"".join(map(line, range(10))))
    assert len(kept) == 4
    for offset, data in kept:
        assert data == b"".join(line(offset // 100 + n) for n in range(len(data) // 100))
    assert kept[-1][0] + len(kept[-1][1]) == 20_000


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", 64 * 1024) as folder:
        yield folder


def test_a_full_disk_costs_what_is_printed_meanwhile_and_nothing_of_before(disk):
    file = OutputFile(str(disk), "out", 4 * PIECE)
    for number in range(20):
        file.append(line(number))
    before = pieces(disk)
    filler = fill(disk)
    for number in range(20, 60):
        file.append(line(number))

    assert pieces(disk) == before
    filler.unlink()
    for number in range(60, 65):
        file.append(line(number))

    assert pieces(disk) == [*before, (6000, b"".join(map(line, range(60, 65))))]
