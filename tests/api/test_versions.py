import pytest

from secrets_app.models import AuditEvent, SecretVersion
from tests.cast import allow, body, secret_url


def versions_url(vault, path="a/b"):
    return f"/v1/vaults/{vault.id}/secret-versions/{path}"


def version_url(vault, number, path="a/b"):
    return f"/v1/vaults/{vault.id}/secret-version/{path}/{number}"


def disable_url(vault, number, path="a/b"):
    return f"/v1/vaults/{vault.id}/secret-version-disable/{path}/{number}"


@pytest.fixture
def three(alice, vault):
    for n in (1, 2, 3):
        alice.api.put(secret_url(vault, "a/b"), body(f"value {n}", metadata={"n": n}))


def test_versions_are_listed_newest_first_without_values(alice, vault, three):
    answer = alice.api.get(versions_url(vault)).json()
    assert [v["version"] for v in answer["versions"]] == [3, 2, 1]
    assert [v["metadata"]["n"] for v in answer["versions"]] == [3, 2, 1]
    assert {v["is_disabled"] for v in answer["versions"]} == {False}
    assert len({v["id"] for v in answer["versions"]}) == 1
    assert "value" not in str([list(v) for v in answer["versions"]])
    assert "next_cursor" not in answer


def test_versions_come_in_pages(alice, vault, three):
    first = alice.api.get(versions_url(vault) + "?limit=2").json()
    assert [v["version"] for v in first["versions"]] == [3, 2]
    second = alice.api.get(versions_url(vault) + f"?limit=2&cursor={first['next_cursor']}").json()
    assert [v["version"] for v in second["versions"]] == [1]
    assert "next_cursor" not in second


def test_each_version_can_be_read(alice, vault, three):
    for n in (1, 2, 3):
        response = alice.api.get(version_url(vault, n))
        assert response.json()["value"] == f"value {n}"
        assert response["ETag"] == f'"{n}"'
        assert response["Cache-Control"] == "no-store"
    events = AuditEvent.objects.filter(action="secret.read").order_by("created_at")
    assert [event.details["version"] for event in events] == [1, 2, 3]


def test_what_is_not_there_is_404(alice, vault, three):
    assert alice.api.get(version_url(vault, 4)).status_code == 404
    assert alice.api.get(version_url(vault, 2**31 - 1)).status_code == 404
    assert alice.api.get(version_url(vault, 1, "no/such")).status_code == 404
    assert alice.api.get(versions_url(vault, "no/such")).status_code == 404
    assert alice.api.post(disable_url(vault, 4)).status_code == 404


@pytest.mark.parametrize(
    "number", ["0", "-1", "01", "1.0", "x", "", "2147483648", "9" * 50, "%31%0A"]
)
def test_a_malformed_number_is_400(alice, vault, three, number):
    assert alice.api.get(version_url(vault, number)).status_code == 400
    assert alice.api.post(disable_url(vault, number)).status_code == 400


def test_a_disabled_version_cannot_be_read_and_stays_in_the_list(alice, vault, three):
    response = alice.api.post(disable_url(vault, 2), content_type="application/json")
    assert (response.status_code, response.content) == (204, b"")
    assert alice.api.get(version_url(vault, 2)).status_code == 410
    assert alice.api.get(version_url(vault, 1)).status_code == 200
    listed = alice.api.get(versions_url(vault)).json()["versions"]
    assert [(v["version"], v["is_disabled"]) for v in listed] == [
        (3, False),
        (2, True),
        (1, False),
    ]
    assert alice.api.post(disable_url(vault, 2)).status_code == 204


def test_disabling_the_latest_version_makes_the_secret_unavailable_till_the_next_write(
    alice, vault, three
):
    alice.api.post(disable_url(vault, 3))
    assert alice.api.get(secret_url(vault, "a/b")).status_code == 410
    alice.api.put(secret_url(vault, "a/b"), body("four"))
    assert alice.api.get(secret_url(vault, "a/b")).json()["value"] == "four"


def test_versions_are_judged_like_the_secret_they_belong_to(alice, bob, vault, three):
    allow(bob, vault, "other/**", "read", "write")
    for method, url in [
        ("GET", versions_url(vault)),
        ("GET", version_url(vault, 1)),
        ("HEAD", version_url(vault, 1)),
        ("POST", disable_url(vault, 1)),
        # The number is not a part of the path that is judged.
        ("GET", version_url(vault, 1, "other/../a/b")),
    ]:
        assert bob.api.request(method, url).status_code in (400, 403), url
    allow(bob, vault, "a/b", "read")
    assert bob.api.get(version_url(vault, 1)).status_code == 200
    assert bob.api.post(disable_url(vault, 1)).status_code == 403


def test_a_path_that_ends_in_a_number_is_not_mistaken(alice, vault):
    alice.api.put(secret_url(vault, "a/1"), body("in a/1"))
    alice.api.put(secret_url(vault, "a"), body("in a"))
    assert alice.api.get(version_url(vault, 1, "a/1")).json()["value"] == "in a/1"
    assert alice.api.get(version_url(vault, 1, "a")).json()["value"] == "in a"


def test_accesses_are_counted_for_each_version_by_any_route(alice, vault):
    alice.api.put(secret_url(vault, "a/b"), body("one", max_access_count=2))
    assert alice.api.get(secret_url(vault, "a/b")).status_code == 200
    assert alice.api.request("HEAD", version_url(vault, 1)).status_code == 200
    assert alice.api.get(version_url(vault, 1)).status_code == 200
    assert alice.api.get(version_url(vault, 1)).status_code == 410
    alice.api.put(secret_url(vault, "a/b"), body("two", max_access_count=1))
    assert alice.api.get(version_url(vault, 1)).status_code == 410
    assert alice.api.get(version_url(vault, 2)).status_code == 200


def test_the_oldest_versions_are_destroyed_beyond_the_cap(alice, vault, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 2}
    for n in (1, 2, 3, 4):
        alice.api.put(secret_url(vault, "a/b"), body(f"value {n}", metadata={"n": n}))
    kept = SecretVersion.objects.filter(value__isnull=False)
    assert sorted(kept.values_list("number", flat=True)) == [3, 4]
    assert not SecretVersion.objects.filter(number__lte=2, metadata__isnull=False).exists()
    assert alice.api.get(version_url(vault, 2)).status_code == 410
    assert alice.api.get(version_url(vault, 3)).json()["value"] == "value 3"
    listed = alice.api.get(versions_url(vault)).json()["versions"]
    assert [v["is_disabled"] for v in listed] == [False, False, True, True]
