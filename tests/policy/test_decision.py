from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_app.policy.decision import Permission, Reason, Rule, decide
from tests.policy.reference import slow_decision

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def rule(pattern="**", *permissions, effect="allow", conditions=None, expires_at=None):
    return Rule(uuid4(), pattern, permissions or ("read",), effect, conditions, expires_at)


def judge(*rules, path="a/b", permission="read", is_owner=False, address="192.0.2.7"):
    return decide(
        is_owner=is_owner,
        rules=rules,
        path=path,
        permission=Permission(permission),
        address=address,
        now=NOW,
    )


def test_without_a_policy_the_answer_is_no():
    decision = judge()
    assert (decision.allowed, decision.reason, decision.policy_ids) == (False, Reason.NO_MATCH, ())


def test_the_owner_may_do_everything_even_against_a_deny():
    decision = judge(rule("**", "read", "write", effect="deny"), is_owner=True)
    assert (decision.allowed, decision.reason, decision.policy_ids) == (True, Reason.OWNER, ())


def test_an_allow_that_matches_allows_and_is_named():
    allow, other = rule("a/*"), rule("c/*")
    decision = judge(allow, other)
    assert decision.allowed
    assert decision.reason is Reason.ALLOWED
    assert decision.policy_ids == (allow.policy_id,)


def test_an_explicit_deny_beats_every_allow_and_is_named():
    deny = rule("a/b", effect="deny")
    decision = judge(rule("a/b"), rule("**"), deny)
    assert not decision.allowed
    assert decision.reason is Reason.DENIED
    assert decision.policy_ids == (deny.policy_id,)


@pytest.mark.parametrize(
    ("granted", "included"),
    [
        ("read", {"read", "list"}),
        ("write", {"write", "delete", "rotate"}),
        ("delete", {"delete"}),
        ("rotate", {"rotate"}),
        ("list", set()),
        ("everything", set()),
    ],
)
def test_what_each_permission_includes(granted, included):
    allowed = {p.value for p in Permission if judge(rule("**", granted), permission=p).allowed}
    denied = {
        p.value
        for p in Permission
        if not judge(
            rule("**", "read", "write"), rule("**", granted, effect="deny"), permission=p
        ).allowed
    }
    assert allowed == included
    assert denied == included


@pytest.mark.parametrize(("offset_s", "allowed"), [(-1, False), (0, False), (1, True)])
def test_a_policy_ends_when_it_expires(offset_s, allowed):
    expiring = rule(expires_at=NOW + timedelta(seconds=offset_s))
    assert judge(expiring).allowed is allowed


def test_an_expired_deny_denies_no_more():
    assert judge(rule(), rule(effect="deny", expires_at=NOW)).allowed


@pytest.mark.parametrize(
    "conditions",
    [
        {"ip_allowlist": ["198.51.100.0/24"]},
        {"ip_allowlist": "broken"},
        {"no_such_condition": True},
        [],
        "",
    ],
)
def test_an_allow_whose_conditions_do_not_hold_or_make_no_sense_does_not_apply(conditions):
    assert not judge(rule(conditions=conditions)).allowed


def test_a_deny_whose_conditions_make_no_sense_applies():
    assert not judge(rule(), rule(effect="deny", conditions={"no_such_condition": 1})).allowed


def test_a_deny_whose_conditions_do_not_hold_does_not_apply():
    elsewhere = rule(effect="deny", conditions={"ip_allowlist": ["198.51.100.0/24"]})
    assert judge(rule(), elsewhere).allowed


def test_an_unknown_address_counts_against_the_caller():
    here = {"ip_allowlist": ["192.0.2.0/24"]}
    assert not judge(rule(conditions=here), address=None).allowed
    assert not judge(rule(), rule(effect="deny", conditions=here), address=None).allowed


def test_an_unknown_effect_never_allows():
    assert not judge(rule(effect="maybe")).allowed


segments = st.sampled_from(["a", "b"])
rules = st.builds(
    Rule,
    policy_id=st.just(UUID(int=0)),
    pattern=st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=4).map("/".join),
    permissions=st.lists(
        st.sampled_from(["read", "write", "delete", "rotate"]), min_size=1, max_size=3
    ).map(tuple),
    effect=st.sampled_from(["allow", "deny"]),
    conditions=st.none(),
    expires_at=st.none(),
)


@pytest.mark.no_cover
@settings(max_examples=2000)
@given(
    st.lists(rules, max_size=6),
    st.lists(segments, min_size=1, max_size=4).map("/".join),
    st.sampled_from(list(Permission)),
    st.booleans(),
)
def test_decisions_agree_with_a_slow_reference(rule_list, path, permission, is_owner):
    decision = judge(*rule_list, path=path, permission=permission, is_owner=is_owner)
    assert decision.allowed is slow_decision(rule_list, path, permission, is_owner)
