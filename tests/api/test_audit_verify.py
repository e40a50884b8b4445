import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission

from secrets_app.models import AuditEvent, AuditSeal
from secrets_app.services.audit import report
from secrets_app.services.audit.seal import seal_events
from tests.cast import body, secret_url

VERIFY = "/v1/audit/verify"


@pytest.fixture
def sealed(alice, vault):
    alice.api.put(secret_url(vault), body())
    alice.api.get(secret_url(vault))
    seal_events()
    alice.api.get(secret_url(vault))
    return vault


def test_an_untouched_log(alice, sealed):
    answer = alice.api.get(VERIFY)
    assert answer.status_code == 200
    found = answer.json()
    checkpoint = found.pop("checkpoint")
    count = AuditEvent.objects.count()
    assert found == {
        "chain_valid": True,
        "events_verified": count,
        "events_checked": count,
        "scheme": "vaultsite-audit-v1",
        "broken_at_event_id": None,
    }
    assert checkpoint["seal"]["number"] == 1


def test_nothing_sealed_yet_has_no_checkpoint(alice):
    assert "checkpoint" not in alice.api.get(VERIFY).json()


def test_the_first_event_that_does_not_fit_is_named(alice, sealed):
    victims = AuditEvent.objects.filter(action__startswith="secret.").order_by("id")
    AuditEvent.objects.filter(pk__in=[v.pk for v in victims]).update(outcome="denied")
    found = alice.api.get(VERIFY).json()
    assert found["chain_valid"] is False
    assert found["broken_at_event_id"] == str(victims[0].pk)
    assert found["events_verified"] == found["events_checked"] - len(victims)
    assert found["problem"].startswith(f"event {victims[0].pk}")


def test_a_seal_that_does_not_fit_is_named(alice, sealed):
    AuditEvent.objects.filter(action="secret.write").delete()
    found = alice.api.get(VERIFY).json()
    assert (found["chain_valid"], found["broken_at_event_id"]) == (False, None)
    assert found["broken_at_seal"] == 1


def test_only_a_time(alice, sealed):
    seal = AuditSeal.objects.get()
    AuditEvent.objects.filter(action="secret.write").update(outcome="denied")
    after = (seal.last_at + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    found = alice.api.get(f"{VERIFY}?from={after}&limit=5").json()
    assert (found["chain_valid"], found["events_checked"]) == (True, 1)
    assert alice.api.get(f"{VERIFY}?to={after}").json()["chain_valid"] is False


@pytest.mark.parametrize("query", ["from=now", "to=x", "limit=-1", "limit=x", "until=x"])
def test_bad_queries(alice, query):
    assert alice.api.get(f"{VERIFY}?{query}").status_code == 400


def test_a_long_log_is_for_auditors(alice, bob, sealed, monkeypatch):
    monkeypatch.setattr(report, "MOST_FOR_NON_AUDITORS", 2)
    answer = alice.api.get(VERIFY)
    assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")
    assert "auditors" in answer.json()["detail"]
    bob.user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    assert bob.api.get(VERIFY).json()["chain_valid"] is True


def test_one_at_a_time(alice, sealed):
    with report._running:
        answer = alice.api.get(VERIFY)
    assert (answer.status_code, answer["Retry-After"]) == (429, "10")
    assert alice.api.get(VERIFY).status_code == 200


def test_one_that_failed_does_not_keep_others_out(alice, sealed, monkeypatch):
    from secrets_app.errors import ProviderUnavailable

    def away(**_):
        raise ProviderUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(report, "verify_audit", away)
        answer = alice.api.get(VERIFY)
        assert (answer.status_code, answer["Retry-After"]) == (500, "5")
    assert alice.api.get(VERIFY).status_code == 200


def proof_of(person, event):
    return person.api.get(f"/v1/audit/events/{event.pk}/proof")


def test_a_proof_can_be_checked_with_the_script_of_the_docs(alice, sealed, tmp_path):
    from tests.docs import run_script

    checkpoint = alice.api.get(VERIFY).json()["checkpoint"]
    for event in AuditEvent.objects.filter(seal_number=1, vault_id=sealed.pk):
        proof = proof_of(alice, event).json()
        assert proof["event"]["id"] == str(event.pk)
        done = run_script("audit.md", proof, checkpoint["public_key"], folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert event.action in done.stdout


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["event"].update(action="secret.none"),
        lambda p: p.update(leaf_index=p["leaf_index"] ^ 1),
        lambda p: p["audit_path"].reverse(),
        lambda p: p["audit_path"].pop(),
        lambda p: p["seal"].update(root="00" * 32),
        lambda p: p.update(signature="00" * 64),
        lambda p: p["seal"].update(events=9),
        lambda p: p.update(tree_size=9),
    ],
)
def test_the_script_refuses_a_proof_that_was_changed(alice, sealed, tmp_path, change):
    from tests.docs import run_script

    proof = proof_of(alice, AuditEvent.objects.get(action="secret.write")).json()
    key = proof["public_key"]
    change(proof)
    done = run_script("audit.md", proof, key, folder=tmp_path)
    assert done.returncode != 0


def test_the_script_trusts_only_the_key_it_is_given(alice, sealed, tmp_path):
    from tests.docs import run_script

    proof = proof_of(alice, AuditEvent.objects.get(action="secret.write")).json()
    assert run_script("audit.md", proof, "00" * 32, folder=tmp_path).returncode != 0


def test_an_event_that_is_not_sealed_has_no_proof_yet(alice, sealed):
    event = AuditEvent.objects.filter(seal_number=None).first()
    assert proof_of(alice, event).status_code == 409


def test_an_event_of_others_has_none(alice, charlie, sealed):
    event = AuditEvent.objects.get(action="secret.write")
    answer = proof_of(charlie, event)
    assert answer.status_code == 404
    assert json.dumps(answer.json()).count(str(event.pk)) == 0
    assert alice.api.get("/v1/audit/events/nonsense/proof").status_code == 400
