"""Append to a file piece by piece, so that it stays readable however an earlier run ended."""

import fcntl
import gzip
import os
import stat
import sys
import zlib
from pathlib import Path
from types import TracebackType

from django.core.management.base import CommandError

_MAGIC = b"\x1f\x8b\x08"
_TAIL_BYTES = 16 * 1024 * 1024


class AppendingFile:
    """A file or standard output, opened with its first piece.

    A piece is some lines; compressed, it is a gzip member of its own (RFC 1952, 2.2). If an earlier run
    was killed, its incomplete piece is cut off first: what follows half a line or half a member could
    not be read. Two runs take turns. Raises OSError.
    """

    def __init__(self, path: Path | None, *, compress: bool) -> None:
        self._path = path
        self._compress = compress
        self._file: int | None = None

    def __enter__(self) -> "AppendingFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self._path is not None:
            os.close(self._file)

    def write(self, lines: str) -> None:
        """Append a piece."""
        if self._file is None:
            self._file = self._open()
        piece = memoryview(gzip.compress(lines.encode()) if self._compress else lines.encode())
        while piece:
            piece = piece[os.write(self._file, piece) :]

    def flush(self) -> None:
        """Make a file's content durable on the disk."""
        if self._file is not None and _is_file(self._file):
            os.fsync(self._file)

    def _open(self) -> int:
        if self._path is None:
            return sys.stdout.fileno()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if _is_file(file):
                fcntl.flock(file, fcntl.LOCK_EX)
                self._cut_incomplete_piece(file)
        except BaseException:
            os.close(file)
            raise
        return file

    def _cut_incomplete_piece(self, file: int) -> None:
        size = os.fstat(file).st_size
        begin = os.pread(file, len(_MAGIC), 0)
        if begin and _MAGIC.startswith(begin) is not self._compress:
            kind = "not compressed" if self._compress else "compressed"
            raise CommandError(f"{self._path} is {kind}: it is appended to as it was begun.")
        start = max(0, size - _TAIL_BYTES)
        tail = _read(file, start, size)
        whole = _whole_members(tail) if self._compress else tail.rfind(b"\n") + 1
        if size and not whole and start:
            raise CommandError(f"{self._path} does not end as this command leaves it.")
        if whole < len(tail):
            os.ftruncate(file, start + whole)


def _read(file: int, start: int, end: int) -> bytes:
    pieces = []
    while start < end and (piece := os.pread(file, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _whole_members(tail: bytes) -> int:
    """Return where the last complete member ends; 0 when there is none."""
    position = len(tail)
    while (position := tail.rfind(_MAGIC, 0, position)) >= 0:
        reader = zlib.decompressobj(wbits=31)
        try:
            reader.decompress(tail[position:])
        except zlib.error:
            continue  # these bytes only look like a member's beginning
        if reader.eof:
            return len(tail) - len(reader.unused_data)
    return 0


def _is_file(file: int) -> bool:
    return stat.S_ISREG(os.fstat(file).st_mode)
