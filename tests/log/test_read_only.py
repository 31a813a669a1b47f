"""A log can be read where its reader may make no files beside it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from returns.result import Result

from ipcfold import LogForeign, LogUnusable
from ipcfold.errors import LogError
from ipcfold.log import SQLiteLog
from ipcfold.log.sqlite_rows import SQLiteReader
from tests.environment import ROOT
from tests.log.test_sqlite import ROOT_ONLY, written


def first(read: Result[SQLiteReader, LogError]) -> list[bytes]:
    with closing(read.unwrap()) as reader:
        return [record for batch in reader.replay(0) for record in batch.unwrap()]


@contextmanager
def unprivileged(directory: Path) -> Iterator[None]:
    """As a user who may read the files of this directory, and make none beside them."""
    for file in directory.iterdir():
        file.chmod(0o444)
    directory.chmod(0o555)
    if os.geteuid():
        yield
        return
    for parent in directory.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        directory.chmod(0o755)


def test_a_log_in_a_read_only_directory_can_be_read(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1"], [b"2"])
    log = SQLiteLog.of(tmp_path / "log").unwrap()
    with unprivileged(tmp_path):
        assert first(log.read()) == [b"1", b"2"]
        assert first(log.read()) == [b"1", b"2"]


def test_a_log_with_a_write_ahead_log_in_a_read_only_directory_says_what_to_copy(tmp_path: Path) -> None:
    with closing(SQLiteLog.of(tmp_path / "log").bind(SQLiteLog.open).unwrap()) as journal:
        journal.append(b"1")
        journal.commit().unwrap()
        for name in ("some", "all"):
            (tmp_path / name).mkdir()
            for file in tmp_path.glob("log*"):
                shutil.copy(file, tmp_path / name)
        (tmp_path / "some" / "log-shm").unlink()
    path = tmp_path / "some" / "log"
    with unprivileged(tmp_path / "some"):
        error = SQLiteLog.of(path).bind(SQLiteLog.read).failure()
    assert f"copy {path} and {path}-wal to a directory of your own, and read the copy" in str(error)
    with unprivileged(tmp_path / "all"):
        assert first(SQLiteLog.of(tmp_path / "all" / "log").bind(SQLiteLog.read)) == [b"1"]


def test_what_is_no_log_or_may_not_be_read_in_a_read_only_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"no database" * 1000)
    log = SQLiteLog.of(tmp_path / "log").unwrap()
    with unprivileged(tmp_path):
        assert isinstance(log.read().failure(), LogForeign)
    (tmp_path / "log").unlink()
    written(tmp_path / "log", [b"1"])
    with unprivileged(tmp_path):
        if not os.getuid():
            os.seteuid(0)
        (tmp_path / "log").chmod(0)
        if not os.getuid():
            os.seteuid(65534)
        error = log.read().failure()
    assert isinstance(error, LogUnusable)
    assert "this user may not read it; read it as the user of its server" in str(error)


READ = """
import sys
from contextlib import closing
from ipcfold.log import SQLiteLog
with closing(SQLiteLog.of(sys.argv[1]).bind(SQLiteLog.read).unwrap()) as reader:
    print([record for batch in reader.replay(0) for record in batch.unwrap()])
"""


@ROOT_ONLY
def test_a_log_on_a_read_only_file_system_can_be_read(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1"])
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    mount = f'mount -t tmpfs none {mounted} && cp {tmp_path / "log"} {mounted} && mount -o remount,ro {mounted} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system permits no mounts")
    program = [sys.executable, "-c", READ, str(mounted / "log")]
    done = subprocess.run([*command, *program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "[b'1']\n"
