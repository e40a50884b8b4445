import base64
import os

import pytest

from secrets_app.errors import ConfigurationError, OpenError
from secrets_app.providers import local

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def text(*keys: bytes) -> str:
    return "# root keys\n\n" + "".join(base64.b64encode(key).decode() + "\n" for key in keys)


def key_file(folder, content: str, mode: int = 0o600) -> str:
    file = folder / "root.key"
    file.write_text(content)
    file.chmod(mode)
    return str(file)


def test_a_file_and_a_variable_hold_the_same_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("ROOT_KEY", text(NEW, OLD))
    from_file = local.from_file(key_file(tmp_path, text(NEW, OLD)))
    from_variable = local.from_environment("ROOT_KEY")
    assert from_file.key_ids == from_variable.key_ids
    assert from_file.active_key_id == from_variable.active_key_id == local.local_key_id(NEW)
    wrapped = from_file.wrap(b"k" * 32, b"context")
    assert from_variable.unwrap(from_file.active_key_id, wrapped, b"context") == b"k" * 32


def test_the_first_key_wraps_and_every_key_unwraps(tmp_path):
    before = local.LocalProvider([OLD])
    wrapped = before.wrap(b"k" * 32, b"context")
    after = local.LocalProvider([NEW, OLD])
    assert after.unwrap(before.active_key_id, wrapped, b"context") == b"k" * 32
    assert after.active_key_id != before.active_key_id


def test_wrong_context_key_or_bytes_do_not_unwrap():
    provider = local.LocalProvider([NEW, OLD])
    wrapped = provider.wrap(b"k" * 32, b"context")
    active, other = local.local_key_id(NEW), local.local_key_id(OLD)
    for key_id, blob, context in [
        (active, wrapped, b"other"),
        (other, wrapped, b"context"),
        ("local:none", wrapped, b"context"),
        (active, wrapped[:-1], b"context"),
        (active, b"", b"context"),
        (active, os.urandom(60), b"context"),
    ]:
        with pytest.raises(OpenError):
            provider.unwrap(key_id, blob, context)


def test_a_key_id_gives_nothing_away():
    assert NEW.hex() not in local.local_key_id(NEW)
    assert len(local.local_key_id(NEW)) == len("local:") + 16


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("not base64!\n", "line 1"),
        (base64.b64encode(b"short").decode(), "line 1"),
        (text(NEW) + base64.b64encode(bytes(33)).decode(), "line 4"),
        ("\0\0\0", "line 1"),
    ],
)
def test_a_malformed_file_says_where_and_shows_nothing(tmp_path, content, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        local.from_file(key_file(tmp_path, content))
    for line in content.split():
        assert len(line) < 8 or line not in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match="backup"):
        local.from_file(str(tmp_path / "none"))


def test_a_relative_name_is_refused():
    with pytest.raises(ConfigurationError, match="absolute"):
        local.from_file("root.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    with pytest.raises(ConfigurationError, match="chmod 600"):
        local.from_file(key_file(tmp_path, text(NEW), mode))


def test_a_missing_variable_says_what_to_do(monkeypatch):
    monkeypatch.delenv("NO_ROOT_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="NO_ROOT_KEY"):
        local.from_environment("NO_ROOT_KEY")


def test_a_generated_key_is_32_fresh_bytes():
    keys = {local.generate_root_key_text() for _ in range(10)}
    assert len(keys) == 10
    assert all(len(base64.b64decode(key)) == 32 for key in keys)
