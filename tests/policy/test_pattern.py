import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_app.errors import InvalidPattern
from secrets_app.policy.pattern import matches, parse_pattern, patterns_of
from tests.policy.reference import slow_match
from tests.policy.test_path import ALLOWED

pattern_segments = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=7)
path_segments = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=7)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a", "A", False),
        ("*", "a", True),
        ("*", "a/b", False),
        ("a/*", "a", False),
        ("a/*", "a/b", True),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/c", False),
        ("**", "a/b/c", True),
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("a/**", "ab", False),
        ("**/c", "c", True),
        ("**/c", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a/**/c", "a/b/b", False),
        ("**/b/**", "a/c", False),
        ("**/**", "a", True),
        ("**/*", "a", True),
        ("*/**/*", "a", False),
        ("a-b_c", "a-b_c", True),
    ],
)
def test_patterns_match_segment_by_segment(pattern, path, expected):
    assert matches(pattern, path) is expected


near = st.builds(
    "/".join,
    st.lists(st.sampled_from(["a", "*", "**", "", "a*", "***", "*a", ".", "é"]), max_size=6),
)
long = st.builds("/".join, st.lists(st.text("aZ0-_", min_size=1, max_size=200), max_size=6))


@given(near | long | st.text(st.characters(exclude_categories=[]), max_size=40))
def test_the_rule_agrees_with_its_words(raw):
    segments = raw.split("/")
    valid = len(raw) <= 512 and all(
        segment in ("*", "**") or (segment and set(segment) <= ALLOWED) for segment in segments
    )
    if valid:
        assert parse_pattern(raw) == raw
    else:
        with pytest.raises(InvalidPattern):
            parse_pattern(raw)


@pytest.mark.no_cover
@settings(max_examples=2000)
@given(pattern_segments, path_segments)
def test_matching_agrees_with_a_slow_reference(pattern, path):
    assert matches("/".join(pattern), "/".join(path)) is slow_match(pattern, path)


def test_every_short_pattern_agrees_with_the_reference_on_every_short_path():
    from itertools import product

    checked = 0
    paths = [p for n in range(1, 5) for p in product("ab", repeat=n)]
    for n in range(1, 5):
        for pattern in product(["a", "*", "**"], repeat=n):
            for path in paths:
                checked += 1
                assert matches("/".join(pattern), "/".join(path)) is slow_match(
                    list(pattern), list(path)
                ), (pattern, path)
    assert checked == 120 * 30


def test_a_hostile_pattern_costs_little():
    """Backtracking matchers take exponential time for this one; the bound is steps, not seconds."""
    pattern = "/".join(["**", "a"] * 85)
    path = "/".join(["a"] * 84 + ["b"] * 100)
    started = time.process_time()
    assert matches(pattern, path) is False
    assert time.process_time() - started < 5


@pytest.mark.parametrize("pattern", ["a", "*", "**", "a/*/**", "A-9_/**", "a" * 512])
def test_valid_patterns_are_returned_as_they_are(pattern):
    assert parse_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    ["", "/", "a/", "/a", "a//b", "a*", "*a", "***", "a.b", "+", "?", "[a]", "a\n", "é", "a" * 513],
)
def test_anything_else_is_refused(pattern):
    with pytest.raises(InvalidPattern):
        parse_pattern(pattern)


longer = st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=12).map("/".join)


@pytest.mark.no_cover
@settings(max_examples=1000)
@given(
    st.lists(longer | st.sampled_from(["a*", "", "a//b", "***"]), max_size=6),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=10),
)
def test_many_patterns_together_match_what_each_matches(patterns, path):
    expected = [n for n, each in enumerate(patterns) if slow_match(each.split("/"), path)]
    together = patterns_of(tuple(patterns))
    assert together.which("/".join(path)) == expected
    assert together.match_any("/".join(path)) is bool(expected)


def test_more_and_longer_patterns_than_are_kept_compiled_match_too():
    """Also stored ones that are longer than new ones may be, and more segments than masks are kept."""
    patterns = tuple(f"**/{'a/' * 100}*/x{n}/**" for n in range(400))
    together = patterns_of(patterns)
    for n in (0, 7, 255, 256, 399):
        assert together.which(f"{'a/' * 120}x{n}") == [n]
        assert together.which(f"x{n}/{'a/' * 100}b") == []
    assert together.which("/".join(f"x{n}" for n in range(400))) == []


def test_a_new_pattern_has_at_most_32_segments():
    assert parse_pattern("/".join(["a", "**"] * 16)).count("/") == 31
    with pytest.raises(InvalidPattern) as caught:
        parse_pattern("/".join(["a", "**"] * 16 + ["a"]))
    assert "32 segments" in caught.value.errors["secret_path_pattern"][0]
