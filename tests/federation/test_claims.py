"""Patterns of claims, and which of them an identity may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_app.federation.claims import GITHUB, GITLAB, GOOGLE, fits, problems_of

OTHER = "https://issuer.example.com"


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("a", "a ", False),
        ("*", "a", True),
        ("*", "", False),
        ("*", "a/b", False),
        ("*", "a:b", False),
        ("*:*", "a:b", True),
        ("*:*", "a/b", False),
        ("*:*", ":b", False),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("a/*/c", "a//c", False),
        ("v*", "v1", True),
        ("v*", "v", False),
        ("*-rc", "1-rc", True),
        ("*-rc", "-rc", False),
        ("ab*bc", "abc", False),
        ("ab*bc", "abxbc", True),
        ("ab*bc", "abbbc", True),
        ("spiffe://x/*", "spiffe://x/y", True),
        ("spiffe://x/*", "spiffe:/x/y", False),
        ("a.c", "abc", False),
        ("[a-z]", "b", False),
        ("é", "é", True),
        ("é", "e\u0301", False),
        ("*", ["a"], False),
        ("*", None, False),
        ("*", 1, False),
        ("true", True, False),
    ],
)
def test_a_pattern_fits(pattern, value, expected):
    assert fits(pattern, value) is expected


_TEXT = st.text(alphabet="ab*:/", max_size=8)


@given(_TEXT, _TEXT)
def test_it_is_what_a_regular_expression_would_say(pattern, value):
    import re

    if any(part.count("*") > 1 for part in re.split("[/:]", pattern)):
        return
    expression = "".join("[^/:]+" if c == "*" else re.escape(c) for c in pattern)
    assert fits(pattern, value) is (re.fullmatch(expression, value) is not None)


@pytest.mark.parametrize(
    ("issuer", "patterns"),
    [
        (GITHUB, {"sub": "repo:acme/api:ref:refs/heads/main"}),
        (GITHUB, {"sub": "repo:acme/*:environment:prod"}),
        (GITHUB, {"repository": "acme/api", "ref": "refs/heads/*"}),
        (GITHUB, {"repository_owner_id": "65"}),
        (GITHUB, {"repository_id": "74", "environment": "*"}),
        (GITLAB, {"sub": "project_path:acme/*:ref_type:branch:ref:main"}),
        (GITLAB, {"project_path": "acme/api", "ref": "*"}),
        (GOOGLE, {"sub": "113774264463038321964"}),
        (OTHER, {"sub": "w"}),
        (OTHER, {"sub": "system:serviceaccount:prod:*"}),
        (OTHER, {"sub": "spiffe://example.org/*"}),
    ],
)
def test_what_says_whose_a_token_is_may_stand(issuer, patterns):
    assert problems_of(issuer, patterns) == []


@pytest.mark.parametrize(
    ("issuer", "patterns"),
    [
        (GITHUB, {"sub": "repo:*/api:ref:refs/heads/main"}),
        (GITHUB, {"sub": "repo:acme*/api:ref:refs/heads/main"}),
        (GITHUB, {"sub": "*:acme/api"}),
        (GITHUB, {"sub": "environment:prod"}),
        (GITHUB, {"sub": "repo"}),
        (GITHUB, {"repository": "*/api"}),
        (GITHUB, {"repository_owner": "acme*"}),
        (GITHUB, {"environment": "prod", "ref": "refs/heads/main"}),
        (GITHUB, {"job_workflow_ref": "acme/shared/.github/workflows/x.yml@refs/heads/main"}),
        (GITHUB, {"actor": "octocat"}),
        (GITLAB, {"sub": "project_path:*/api:ref_type:branch:ref:main"}),
        (GITLAB, {"ref": "main", "user_login": "sample"}),
        (GOOGLE, {"sub": "*"}),
        (GOOGLE, {"email": "x@example.com"}),
        (OTHER, {"sub": "*"}),
        (OTHER, {"sub": "*/*:*"}),
        (OTHER, {"sub": "/"}),
        (OTHER, {"email": "x@example.com"}),
        (OTHER, {"repository": "acme/api"}),
        (OTHER, {"sub": "a**"}),
        (OTHER, {"sub": "a", "x": "*b*"}),
        (OTHER, {"sub": "a", "x": ""}),
        (OTHER, {}),
    ],
)
def test_what_would_let_strangers_in_may_not(issuer, patterns):
    assert problems_of(issuer, patterns)
