import pytest

from secrets_app.errors import SourceError
from secrets_app.sources.candidates import Candidates
from secrets_app.sources.dotenv_file import read_dotenv
from secrets_app.sources.json_file import read_json

CANARY = "canary-" + "3d1"


def candidates(read, text, **options):
    made = Candidates(**({"max_value_bytes": 100} | options))
    read(text, made)
    return made


def values(made):
    return {path: value.reveal().decode() for path, value in made.items.items()}


def refused(made):
    return {each.name: each.why for each in made.refused}


def test_dotenv_values_are_taken_byte_for_byte():
    text = (
        "# a comment\n"
        "PLAIN=abc\n"
        "export QUOTED='$PLAIN ${PLAIN} #'\n"
        'LINES="a\\nb"\n'
        'SEVERAL="first\nsecond"\n'
        "EMPTY=\n"
        "UNICODE=ünï 🔑\n"
    )
    made = candidates(read_dotenv, text, prefix="app/env")
    assert values(made) == {
        "app/env/PLAIN": "abc",
        "app/env/QUOTED": "$PLAIN ${PLAIN} #",
        "app/env/LINES": "a\nb",
        "app/env/SEVERAL": "first\nsecond",
        "app/env/EMPTY": "",
        "app/env/UNICODE": "ünï 🔑",
    }
    assert not made.refused


def test_what_is_wrong_in_a_dotenv_file_is_named_without_its_value():
    text = f"GOOD=1\nNAMELESS\nDOT.TED={CANARY}\nTWICE={CANARY}\nTWICE=b\n='{CANARY}\nLONG={'x' * 101}\n"
    made = candidates(read_dotenv, text)
    assert values(made) == {"GOOD": "1"}
    told = refused(made)
    assert told["NAMELESS"] == "has no value"
    assert "no valid path" in told["DOT.TED"]
    assert told["TWICE"] == "is there more than once"
    assert told["line 6"] == "cannot be read"
    assert told["LONG"] == "is larger than 100 bytes"
    assert CANARY not in repr(made.refused)


def test_nested_and_flat_json_say_the_same():
    nested = '{"db": {"user": "x", "pass": {"main": "y"}}, "port": 5432}'
    flat = '{"db/user": "x", "db/pass/main": "y", "port": "5432"}'
    wanted = {"db/user": "x", "db/pass/main": "y", "port": "5432"}
    assert values(candidates(read_json, nested)) == values(candidates(read_json, flat)) == wanted


def test_json_numbers_are_taken_as_they_are_written():
    made = candidates(
        read_json, '{"a": 1.10, "b": 12345678901234567890123, "c": 1e5, "d": "\\u0000"}'
    )
    assert values(made) == {"a": "1.10", "b": "12345678901234567890123", "c": "1e5", "d": "\0"}


def test_what_is_wrong_in_json_is_named_without_its_value():
    text = (
        f'{{"ok": "1", "list": ["{CANARY}"], "yes": true, "none": null, "a b": "{CANARY}",'
        f' "x": {{"y": "{CANARY}"}}, "x/y": "b", "..": {{"z": "{CANARY}"}}, "lone": "\\ud800",'
        f' "\\u001b[2J": "{CANARY}", "": "{CANARY}", "Ü": "{CANARY}"}}'
    )
    made = candidates(read_json, text)
    assert values(made) == {"ok": "1"}
    told = refused(made)
    for name in ("list", "yes", "none"):
        assert told[name] == "is neither text nor a number"
    for name in ("a b", "../z", "\\x1b[2J", "", "Ü"):
        assert "no valid path" in told[name]
    assert told["x/y"] == "is there more than once"
    assert told["lone"] == "is not valid Unicode text"
    assert CANARY not in repr(made.refused)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"a"', '{"a": NaN}', '{"a": 1} x', '{"a":' * 100_000, "1" * 10_000]
)
def test_what_is_no_json_object_is_said(text):
    with pytest.raises(SourceError):
        candidates(read_json, text)


def test_a_name_is_counted_once_however_often_it_is_wrong():
    made = candidates(read_dotenv, "A.B=1\nA.B=2\nA=1\nA=2\nA=3\n")
    assert not made.items
    assert [each.name for each in made.refused] == ["A.B", "A"]
