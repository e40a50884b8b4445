"""A state machine does what it likes with one vault over HTTP; a small model of the contract has to
agree with every answer."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import time_machine as tm
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from secrets_app.models import Secret
from tests import cast

PATHS = st.sampled_from(["a", "a/b", "c"])
START = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass
class Version:
    value: str | None  # None: drawn by the server
    type: str = "note"
    expires_at: datetime | None = None
    accesses_left: int | None = None
    is_disabled: bool = False


@dataclass
class Model:
    """What the contract says of one path."""

    versions: list[Version] = field(default_factory=list)
    is_deleted: bool = False


class Machine(RuleBasedStateMachine):
    owner: cast.Person
    count = 0

    def __init__(self):
        super().__init__()
        Machine.count += 1
        self.clock = tm.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.now = START
        self.vault = cast.vault_of(self.owner, f"machine {Machine.count}")
        self.model: dict[str, Model] = {}

    def teardown(self):
        self.clock.stop()

    # --- what the model says -------------------------------------------------------------------

    def living(self, path):
        model = self.model.get(path)
        return model if model is not None and not model.is_deleted else None

    def status_of(self, path, number=None):
        model = self.model.get(path)
        if model is None or (number is not None and not 0 < number <= len(model.versions)):
            return 404
        version = model.versions[(number or len(model.versions)) - 1]
        if model.is_deleted or version.is_disabled or version.accesses_left == 0:
            return 410
        if version.expires_at is not None and version.expires_at <= self.now:
            return 410
        return 200

    # --- what is tried ---------------------------------------------------------------------------

    @property
    def api(self):
        return self.owner.api

    def url(self, route, path, *rest):
        return "/".join([f"/v1/vaults/{self.vault.id}/{route}", path, *map(str, rest)])

    @rule(
        path=PATHS,
        value=st.sampled_from(["", "x", "é\n", "long" * 50]),
        lives_s=st.none() | st.sampled_from([-5, 30, 600]),
        accesses=st.none() | st.integers(1, 3),
    )
    def put(self, path, value, lives_s, accesses):
        expires_at = None if lives_s is None else self.now + timedelta(seconds=lives_s)
        fields = {"type": "note", "value": value}
        if expires_at is not None:
            fields["expires_at"] = expires_at.isoformat()
        if accesses is not None:
            fields["max_access_count"] = accesses
        response = self.api.put(self.url("secrets", path), fields)
        model = self.model.setdefault(path, Model())
        model.is_deleted = False
        model.versions.append(Version(value, "note", expires_at, accesses))
        assert response.status_code == 201
        assert response.json()["version"] == len(model.versions)

    @rule(path=PATHS, back=st.integers(0, 2))
    def put_if_match(self, path, back):
        model = self.living(path)
        number = max(1, len(model.versions) - back) if model else 1
        response = self.api.put(
            self.url("secrets", path),
            {"type": "note", "value": "matched"},
            headers={"If-Match": f'"{number}"'},
        )
        if model is not None and number == len(model.versions):
            model.versions.append(Version("matched"))
            assert response.status_code == 201
        else:
            assert response.status_code == 412

    @rule(path=PATHS, number=st.none() | st.integers(1, 4))
    def get(self, path, number):
        if number is None:
            response = self.api.get(self.url("secrets", path))
        else:
            response = self.api.get(self.url("secret-version", path, number))
        assert response.status_code == self.status_of(path, number)
        if response.status_code != 200:
            return
        model = self.model[path]
        version = model.versions[(number or len(model.versions)) - 1]
        answer = response.json()
        if version.value is None:
            version.value = answer["value"]
        assert answer["value"] == version.value
        assert answer["version"] == (number or len(model.versions))
        if version.accesses_left is not None:
            version.accesses_left -= 1

    @rule(path=PATHS)
    def head(self, path):
        response = self.api.request("HEAD", self.url("secrets", path))
        assert response.status_code == self.status_of(path)

    @rule(path=PATHS, number=st.integers(1, 4))
    def disable(self, path, number):
        response = self.api.post(self.url("secret-version-disable", path, number))
        model = self.living(path)
        if model is None or number > len(model.versions):
            assert response.status_code == 404
        else:
            model.versions[number - 1].is_disabled = True
            assert response.status_code == 204

    @rule(path=PATHS)
    def rotate(self, path):
        response = self.api.post(self.url("secret-rotate", path))
        model = self.living(path)
        if model is None:
            assert response.status_code == 404
        else:
            model.versions.append(Version(None))
            assert response.json()["version"] == len(model.versions)

    @rule(path=PATHS)
    def delete(self, path):
        response = self.api.delete(self.url("secrets", path))
        model = self.living(path)
        assert response.status_code == (404 if model is None else 204)
        if model is not None:
            model.is_deleted = True

    @rule(path=PATHS)
    def undelete(self, path):
        response = self.api.post(self.url("secret-undelete", path))
        model = self.model.get(path)
        if model is None:
            assert response.status_code == 404
        elif not model.is_deleted:
            assert response.status_code == 409
        else:
            model.is_deleted = False
            assert response.status_code == 200

    @rule(path=PATHS)
    def purge(self, path):
        response = self.api.delete(self.url("secrets", path) + "?purge=true")
        assert response.status_code == (204 if path in self.model else 404)
        self.model.pop(path, None)

    @rule(seconds=st.sampled_from([1, 29, 60, 599]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.traveller.move_to(self.now, tick=False)

    @rule()
    def list_all(self):
        answer = self.api.get(f"/v1/vaults/{self.vault.id}/secrets").json()
        listed = {s["path"]: s["version"] for s in answer["secrets"]}
        assert listed == {p: len(m.versions) for p, m in self.model.items() if not m.is_deleted}

    @rule(path=PATHS)
    def list_versions(self, path):
        response = self.api.get(self.url("secret-versions", path))
        model = self.living(path)
        if model is None:
            assert response.status_code == 404
            return
        listed = [(v["version"], v["is_disabled"]) for v in response.json()["versions"]]
        expected = [(n, v.is_disabled) for n, v in enumerate(model.versions, start=1)]
        assert listed == expected[::-1]

    @rule()
    @precondition(lambda self: self.model)
    def batch_read(self):
        paths = sorted(self.model)
        url = f"/v1/vaults/{self.vault.id}/secrets:batchRead"
        answer = self.api.post(url, {"paths": paths}).json()
        expected = {path: self.status_of(path) for path in paths}
        got = {s["path"]: 200 for s in answer["secrets"]}
        got |= {problem["path"]: problem["status"] for problem in answer["errors"]}
        assert got == expected
        for path in (path for path, status in expected.items() if status == 200):
            version = self.model[path].versions[-1]
            if version.accesses_left is not None:
                version.accesses_left -= 1

    @rule()
    def numbers_are_gapless(self):
        for secret in Secret.objects.filter(vault=self.vault):
            numbers = sorted(secret.versions.values_list("number", flat=True))
            assert numbers == list(range(1, secret.current_version + 1))


@pytest.mark.no_cover  # measuring coverage would take most of the time
@pytest.mark.usefixtures("db")
def test_the_service_agrees_with_a_small_model_of_the_contract(alice):
    Machine.owner = alice
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
