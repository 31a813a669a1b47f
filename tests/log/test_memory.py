"""A log in memory has one owner at a time, as every log."""

from returns.result import Failure

from ipcfold import LogTaken
from ipcfold.log import MemoryLog


def test_a_log_is_free_again_once_its_owner_has_closed_it() -> None:
    log = MemoryLog()
    first = log.open().unwrap()
    assert isinstance(log.open().failure(), LogTaken)
    first.close()
    first.close()
    second = log.adopting().open().unwrap()
    first.close()  # it is not the owner any more
    assert isinstance(log.open(), Failure)
    second.append(b"not committed")
    second.close()
    assert log.records == []


def test_a_forked_child_frees_nothing() -> None:
    log = MemoryLog()
    journal = log.open().unwrap()
    journal.abandon()
    journal.close()
    assert isinstance(log.open(), Failure)
