import re
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_app.policy.decision import Permission, Rule, decide
from secrets_app.policy.pattern import as_regex, matches
from secrets_app.policy.scope import PathRange, Scope, Sieve, scope_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ASK = {"permission": Permission.LIST, "address": "192.0.2.7", "now": NOW}

segments = st.sampled_from(["a", "b", "a-b", "A", "a_"])
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
patterns = st.lists(st.one_of(segments, st.sampled_from(["*", "**"])), min_size=1, max_size=4)
rules = st.builds(
    Rule,
    policy_id=st.just(UUID(int=0)),
    pattern=patterns.map("/".join),
    permissions=st.sampled_from([("read",), ("write",), ("read", "write")]),
    effect=st.sampled_from(["allow", "allow", "deny", "odd"]),
    conditions=st.sampled_from([None, None, {}, {"ip_allowlist": ["198.51.100.0/24"]}, "broken"]),
    expires_at=st.sampled_from([None, None, NOW, datetime(2027, 1, 1, tzinfo=UTC)]),
)
prefixes = st.sampled_from(["", "a", "a/", "a-", "a/b", "b", "A", "zz"])


@pytest.mark.no_cover
@settings(max_examples=1500)
@given(st.lists(rules, max_size=6), st.lists(paths, max_size=8), prefixes, st.booleans())
def test_a_scope_agrees_with_decisions_and_its_ranges_miss_nothing(
    rule_list, path_list, prefix, is_owner
):
    scope = scope_of(is_owner=is_owner, rules=rule_list, **ASK)
    ranges = scope.ranges(prefix)
    for path in path_list:
        allowed = decide(is_owner=is_owner, rules=rule_list, path=path, **ASK).allowed
        assert scope.covers(path) is allowed
        inside = any(r.first <= path < r.end for r in ranges)
        if allowed and path.startswith(prefix):
            assert inside
        if inside:
            assert path.startswith(prefix)


long_patterns = st.lists(
    st.one_of(segments, st.sampled_from(["*", "**", "**"])), min_size=1, max_size=14
).map("/".join)


@pytest.mark.no_cover
@settings(max_examples=500)
@given(
    st.lists(long_patterns, max_size=4),
    st.lists(long_patterns, max_size=4),
    st.lists(paths, max_size=8),
)
def test_a_sieve_keeps_everything_that_is_covered(allows, denies, path_list):
    scope = Scope(tuple(allows), tuple(denies))
    sieve = scope.sieve()
    for path in path_list:
        if scope.covers(path):
            assert sieve.keep is None or re.search(sieve.keep, path)
            assert sieve.drop is None or not re.search(sieve.drop, path)


@settings(max_examples=500)
@given(long_patterns, st.lists(paths, max_size=8))
def test_a_pattern_with_one_gap_is_sieved_exactly(pattern, path_list):
    expression, is_exact = as_regex(pattern)
    assert is_exact or pattern.count("**") > 1 or pattern.count("/") > 8
    for path in path_list:
        if is_exact:
            assert bool(re.fullmatch(expression, path)) is matches(pattern, path)
        elif matches(pattern, path):
            assert re.fullmatch(expression, path)


@pytest.mark.parametrize("odd", ["a.*", "a/", "(", "a" * 600, "a|b"])
def test_a_stored_pattern_that_is_none_is_sieved_by_nothing(odd):
    assert Scope((odd, "b"), ()).sieve() == Sieve(None, None)
    assert Scope(("b",), (odd,)).sieve().drop is None


def test_a_sieve_is_not_longer_than_is_worth_reading():
    many = tuple(f"team-{n}/*/key" for n in range(1000))
    assert Scope(many, many).sieve() == Sieve(None, None)


@settings(max_examples=500)
@given(st.lists(rules, max_size=6), prefixes)
def test_ranges_are_sorted_and_apart(rule_list, prefix):
    ranges = scope_of(is_owner=False, rules=rule_list, **ASK).ranges(prefix)
    assert all(r.first < r.end for r in ranges)
    assert all(one.end < other.first for one, other in pairwise(ranges))


def test_a_literal_beginning_narrows_where_to_look():
    rule = Rule(UUID(int=0), "team/app/**", ("read",), "allow", None, None)
    ranges = scope_of(is_owner=False, rules=[rule], **ASK).ranges("")
    assert ranges == [
        PathRange("team/app", "team/app\x01"),
        PathRange("team/app/", "team/app/\x7f"),
    ]


def test_what_backtracks_is_bounded_in_a_sieve():
    """Each `**` with something behind it is tried at every segment of every row."""
    gapped = tuple(f"**/a/k{n}" for n in range(50))
    assert Scope((*gapped, "b"), ()).sieve().keep is None
    drop = Scope(("**",), (*gapped, "b/c")).sieve().drop
    assert drop.count("(?:[^/]+/)*") == 8
    assert re.search(drop, "b/c")
    text, is_exact = as_regex("top/**/" + "a/" * 200 + "b")
    assert (text.count("/"), is_exact) == (1 + 2 + 7, False)
    assert re.fullmatch(text, "top/x/" + "a/" * 200 + "b")
    assert not re.fullmatch(text, "top/x/" + "a/" * 200 + "c")
