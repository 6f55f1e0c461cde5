"""A factfile's path leads into the configured folders and nowhere else, whatever changes meanwhile.

Real: the file system, its links, and somebody who changes them while they are followed.
"""

import os
import threading

import pytest

from factotum.jobs.checking import folders
from factotum.jobs.errors import FactfileMissingError, RefusedByPolicyError

SECRET = "what nobody may read"


@pytest.fixture
def ground(tmp_path):
    """A folder of factfiles, one beside it, and a secret outside of both."""
    (tmp_path / "secret").write_text(SECRET)
    for name in ("one", "two"):
        (tmp_path / name / "deep" / "er").mkdir(parents=True)
        (tmp_path / name / name).write_text(f"in {name}")
        (tmp_path / name / "deep" / "file").write_text(f"deep in {name}")
    return tmp_path


def read(ground, path, *names):
    return folders.read([str(ground / name) for name in names or ("one", "two")], path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("one", "in one"),
        ("two", "in two"),
        ("deep/file", "deep in one"),
        ("./deep//er/../file", "deep in one"),
        ("{ground}/two/deep/file", "deep in two"),
        ("{ground}/one/deep/../one", "in one"),
    ],
)
def test_what_is_in_a_folder_is_read(ground, path, text):
    assert read(ground, path.format(ground=ground)) == text


@pytest.mark.parametrize(
    ("link", "target", "text"),
    [
        ("one/link", "one", "in one"),
        ("one/deep/link", "../one", "in one"),
        ("one/link", "deep/er/../file", "deep in one"),
    ],
)
def test_links_that_stay_within_are_followed(ground, link, target, text):
    (ground / link).symlink_to(target)
    assert read(ground, link.partition("/")[2]) == text


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("one/link", "../secret"),
        ("one/link", "../one/one"),  # out and in again: nobody needs that
        ("one/link", "{ground}/secret"),
        ("one/link", "{ground}/one/one"),
        ("one/deep/link", "../../secret"),
        ("one/deep/link", "/proc/self/root/etc/passwd"),
        ("one/link", "link"),
        ("one/link", "deep/er/../../../secret"),
    ],
)
def test_links_that_lead_out_are_as_if_there_were_none(ground, link, target):
    (ground / link).symlink_to(target.format(ground=ground))
    with pytest.raises(FactfileMissingError):
        read(ground, link.partition("/")[2], "one")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../secret",
        "deep",
        "deep/../../secret",
        "one/",
        "one/..",
        "one/../one",
        "{ground}/secret",
        "{ground}/one",
        "{ground}/onesecret",
        "{ground}/one/../secret",
        "/etc/passwd",
        "/dev/zero",
        "\0",
        "one\0",
        "x" * 300,
        "./" * 5000 + "one",
        "\udcff",
    ],
)
def test_paths_that_lead_out_or_to_no_file_are_as_if_there_were_none(ground, path):
    with pytest.raises(FactfileMissingError):
        read(ground, path.format(ground=ground))


def test_what_is_no_file_is_not_waited_for(ground):
    os.mkfifo(ground / "one" / "pipe")
    with pytest.raises(FactfileMissingError):
        read(ground, "pipe")


def test_a_file_that_is_too_large_is_refused_by_its_size(ground):
    with (ground / "one" / "large").open("wb") as file:
        file.truncate(folders.identity.MAX_BYTES + 1)
    with pytest.raises(RefusedByPolicyError, match="larger than"):
        read(ground, "large")


def test_text_that_is_no_utf8_comes_as_it_is(ground):
    (ground / "one" / "odd").write_bytes(b"a\xff")
    assert read(ground, "odd") == "a\udcff"


def test_whoever_swaps_folders_and_links_while_they_are_followed_gains_nothing(ground):
    """A thousand readings against one who exchanges a folder for a link that leads out."""
    place = ground / "one" / "swapped"
    (ground / "out").mkdir()
    (ground / "out" / "file").write_text(SECRET)
    over = threading.Event()

    def swap():
        inside, link = ground / "inside", ground / "link"
        inside.mkdir()
        (inside / "file").write_text("inside")
        link.symlink_to("../out")
        while not over.is_set():
            for each in (inside, link):
                each.rename(place)
                place.rename(each)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(1000):
            try:
                seen.add(read(ground, "swapped/file", "one"))
            except FactfileMissingError:
                seen.add(None)
    finally:
        over.set()
        swapper.join()
    assert seen <= {None, "inside"}
