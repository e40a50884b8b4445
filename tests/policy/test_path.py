import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_app.errors import InvalidPath
from secrets_app.policy.path import parse_path

ALLOWED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@pytest.mark.parametrize("path", ["a", "A-b_9", "a/b/c", "-", "_/-", "a" * 512])
def test_a_valid_path_is_returned_as_it_is(path):
    assert parse_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a.b",
        "a b",
        " a",
        "a\n",
        "a\r\n",
        "a\0",
        "a\\b",
        "a%2Fb",
        "é",
        "a\u0301",
        "а",  # noqa: RUF001  (Cyrillic)
        "٣",  # a digit, but not an ASCII one
        "a*",
        "**",
        "a" * 513,
        "\ud800",
    ],
)
def test_anything_else_is_refused(path):
    with pytest.raises(InvalidPath):
        parse_path(path)


near = st.text(st.sampled_from("aZ0-_/. \n*é%"), max_size=12)
long = st.builds("/".join, st.lists(st.text("aZ0-_", min_size=1, max_size=200), max_size=6))


@given(near | long | st.text(st.characters(exclude_categories=[]), max_size=40))
def test_the_rule_agrees_with_its_words(raw):
    segments = raw.split("/")
    valid = len(raw) <= 512 and all(segment and set(segment) <= ALLOWED for segment in segments)
    if valid:
        assert parse_path(raw) == raw
    else:
        with pytest.raises(InvalidPath):
            parse_path(raw)


def test_the_error_does_not_repeat_the_path():
    with pytest.raises(InvalidPath) as caught:
        parse_path("hunter2 hunter2")
    assert "hunter2" not in str(caught.value.errors) + str(caught.value)
