"""Coverage-guided fuzzing of what takes bytes and text from outside: envelopes, paths, patterns.

    python -m tests.fuzz.bytes [-runs=1000000] [libFuzzer options …]      (needs requirements/fuzz.txt)

An input that breaks a claim is written to a file by libFuzzer, which then stops with an error.
"""

import sys

import atheris

with atheris.instrument_imports(include=["secrets_app"]):
    from secrets_app.crypto.envelope import FORMAT_VERSION, HEADER_BYTES, Envelope
    from secrets_app.errors import EnvelopeError, InvalidPath, InvalidPattern
    from secrets_app.policy.path import MAX_PATH_CHARS, parse_path
    from secrets_app.policy.pattern import matches, parse_pattern
    from tests.policy.reference import slow_match

_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/")


def try_envelope(raw: bytes) -> None:
    """Parses to what gives the same bytes again, or is one clear error."""
    try:
        parsed = Envelope.from_bytes(raw)
    except EnvelopeError:
        return
    assert raw[0] == FORMAT_VERSION
    assert len(parsed.wrapped_dek) == HEADER_BYTES - 1
    assert parsed.to_bytes() == raw


def try_path(raw: str) -> None:
    """What passes is what was sent, of safe characters, without empty segments."""
    try:
        path = parse_path(raw)
    except InvalidPath:
        return
    assert path == raw
    assert set(path) <= _SAFE
    assert 0 < len(path) <= MAX_PATH_CHARS
    assert all(path.split("/"))


def try_pattern(raw: str) -> None:
    try:
        pattern = parse_pattern(raw)
    except InvalidPattern:
        return
    assert pattern == raw
    assert set(pattern) <= _SAFE | {"*"}
    assert all(segment in ("*", "**") or "*" not in segment for segment in pattern.split("/"))


def try_match(provider: atheris.FuzzedDataProvider) -> None:
    """Matches what a plain recursive definition matches."""
    pattern, path = (
        [provider.PickValueInList(each) for _ in range(provider.ConsumeIntInRange(1, 7))]
        for each in (["a", "b", "*", "**"], ["a", "b"])
    )
    assert matches("/".join(pattern), "/".join(path)) is slow_match(pattern, path)


def try_one(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    match provider.ConsumeIntInRange(0, 3):
        case 0:
            try_envelope(provider.ConsumeBytes(4096))
        case 1:
            try_path(provider.ConsumeUnicode(1024))
        case 2:
            try_pattern(provider.ConsumeUnicode(1024))
        case 3:
            try_match(provider)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
