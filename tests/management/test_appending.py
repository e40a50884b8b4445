import gzip
import threading

import pytest
from django.core.management.base import CommandError

from secrets_app.management.appending import AppendingFile

PIECES = ["one\n" * 3, "two\n" * 50, "three\n"]


def append(path, *pieces, compress):
    with AppendingFile(path, compress=compress) as output:
        for piece in pieces:
            output.write(piece)
            output.flush()


def read(path, compress):
    return (gzip.decompress(path.read_bytes()) if compress else path.read_bytes()).decode()


@pytest.mark.parametrize("compress", [False, True])
def test_whatever_was_left_of_a_piece_the_file_can_be_read(tmp_path, compress):
    """Cut after each byte, as a run that was killed, or a power cut, may have left it."""
    path = tmp_path / "log"
    append(path, *PIECES, compress=compress)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        append(path, "new\n", compress=compress)
        text = read(path, compress)
        assert text.endswith("new\n")
        kept = text.removesuffix("new\n")
        assert "".join(PIECES).startswith(kept)
        assert kept == "" or kept.endswith("\n")
        # Nothing that was whole is lost.
        if not compress:
            assert len(kept) == whole[:size].rfind(b"\n") + 1


def test_whole_members_stay_whatever_follows_them(tmp_path):
    path = tmp_path / "log"
    append(path, *PIECES, compress=True)
    whole = path.read_bytes()
    for rest in (b"", b"\0" * 100, b"\x1f\x8b\x08", gzip.compress(b"torn" * 99)[:-1]):
        path.write_bytes(whole + rest)
        append(path, "new\n", compress=True)
        assert read(path, compress=True) == "".join(PIECES) + "new\n"


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_of_the_other_kind_is_refused_and_kept(tmp_path, compress):
    path = tmp_path / "log"
    append(path, *PIECES, compress=not compress)
    before = path.read_bytes()
    with pytest.raises(CommandError, match="as it was begun"):
        append(path, "new\n", compress=compress)
    assert path.read_bytes() == before


def test_a_large_file_that_ends_otherwise_is_refused_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets_app.management.appending._TAIL_BYTES", 10)
    path = tmp_path / "log"
    path.write_bytes(b"begun\n" + b"x" * 50)
    with pytest.raises(CommandError, match="does not end"):
        append(path, "new\n", compress=False)
    assert path.stat().st_size == 56


def test_two_runs_take_turns(tmp_path):
    path = tmp_path / "log"
    other = threading.Thread(target=append, args=(path, "other\n"), kwargs={"compress": False})
    with AppendingFile(path, compress=False) as output:
        output.write("first\n")
        other.start()
        other.join(0.2)
        assert path.read_text() == "first\n"
        output.write("second\n")
    other.join(10)
    assert path.read_text() == "first\nsecond\nother\n"


def test_nothing_to_write_makes_no_file(tmp_path):
    append(tmp_path / "log", compress=True)
    assert list(tmp_path.iterdir()) == []
