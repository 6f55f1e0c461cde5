"""The termination message file: a real one, as the kubelet would read it."""

from factotum.pod.termination_log import TerminationLog


def test_each_message_replaces_the_last(tmp_path):
    path = tmp_path / "log"
    path.touch()
    log = TerminationLog(str(path))

    log.write(b"a long first message")
    log.write(b"short")

    assert path.read_bytes() == b"short"


def test_it_knows_whether_any_process_of_the_container_has_written(tmp_path):
    path = tmp_path / "log"
    path.touch()
    first, second = TerminationLog(str(path)), TerminationLog(str(path))

    assert second.is_empty()
    first.write(b"first")
    assert not second.is_empty()


def test_what_another_process_wrote_stays_until_it_is_replaced(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"another's")

    TerminationLog(str(path))

    assert path.read_bytes() == b"another's"


def test_a_file_that_cannot_be_had_is_no_reason_not_to_run(tmp_path):
    log = TerminationLog(str(tmp_path / "no such folder" / "log"))

    log.write(b"lost")

    assert not log.is_empty()
