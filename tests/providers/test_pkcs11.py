import ctypes
import os

import pkcs11
import pytest

from secrets_app.errors import ConfigurationError, OpenError, ProviderError
from secrets_app.keys import build_provider, create_root_key
from secrets_app.providers.pkcs11 import from_url
from secrets_app.providers.pkcs11_uri import parse
from tests.providers.backends.softhsm import PIN

CONTEXT = b"context"
TAIL = "?module-path=/m.so&pin-source=file:/pin"


def plain(hsm, label="root"):
    """The provider itself, without the bound on time around it."""
    return from_url(hsm.url_of(label), timeout_s=1)


def softhsm(hsm):
    """SoftHSM's functions, called behind the provider's back as another part of the process would."""
    return ctypes.CDLL(hsm.library)


def slot(hsm):
    return pkcs11.lib(hsm.module).get_token(token_label="vault").slot.slot_id


def test_a_created_key_never_leaves_the_token(hsm):
    provider = plain(hsm)
    provider.check_health()
    key = provider._key
    assert key[pkcs11.Attribute.SENSITIVE] is True
    assert key[pkcs11.Attribute.NEVER_EXTRACTABLE] is True
    assert key[pkcs11.Attribute.LOCAL] is True
    with pytest.raises(pkcs11.exceptions.AttributeSensitive):
        _ = key[pkcs11.Attribute.VALUE]


def test_a_name_that_is_taken_is_refused(hsm):
    with pytest.raises(ConfigurationError, match="already"):
        create_root_key(hsm.url)


def test_a_key_that_can_be_taken_out_is_refused(hsm):
    token = pkcs11.lib(hsm.module).get_token(token_label="vault")
    plain(hsm).check_health()  # logs this process in
    with token.open(rw=True) as session:
        session.generate_key(
            pkcs11.KeyType.AES,
            256,
            label="open",
            store=True,
            template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: True},
        )
    with pytest.raises(ProviderError, match="taken out"):
        plain(hsm, "open").check_health()


def test_a_missing_key_says_what_to_do(hsm):
    with pytest.raises(ProviderError, match="create_root_key"):
        plain(hsm, "nothing").check_health()


def test_a_missing_token_is_unavailable(hsm):
    with pytest.raises(ProviderError, match="NoSuchToken"):
        from_url(hsm.url_of("root", token="nothing"), timeout_s=1).check_health()


def test_lost_sessions_are_made_anew(hsm):
    provider, other = plain(hsm), plain(hsm, "other")
    blobs = [each.wrap(b"k" * 32, CONTEXT) for each in (provider, other)]
    for lose in (
        lambda: softhsm(hsm).C_CloseAllSessions(ctypes.c_ulong(slot(hsm))),
        lambda: softhsm(hsm).C_Finalize(None),
        lambda: provider._session.close(),
    ):
        for _ in range(2):
            lose()
            for each, blob in zip((provider, other), blobs, strict=True):
                assert each.unwrap(each.active_key_id, blob, CONTEXT) == b"k" * 32
    with pytest.raises(OpenError):
        provider.unwrap(provider.active_key_id, blobs[0], b"wrong")


def test_a_forked_process_makes_a_session_of_its_own(hsm):
    provider = plain(hsm)
    blob = provider.wrap(b"k" * 32, CONTEXT)
    pid = os.fork()
    if pid == 0:
        try:
            opened = provider.unwrap(provider.active_key_id, blob, CONTEXT)
            os._exit(0 if opened == b"k" * 32 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == b"k" * 32


def test_a_wrong_pin_is_tried_once_and_a_corrected_one_works(hsm, tmp_path):
    # Nobody may be logged in, or the PIN would not be asked for.
    softhsm(hsm).C_CloseAllSessions(ctypes.c_ulong(slot(hsm)))
    pin = tmp_path / "pin"
    pin.write_text("wrong")
    url = hsm.url.replace(str(hsm.pin_file), str(pin))
    provider = from_url(url, timeout_s=1)
    with pytest.raises(ProviderError, match="PinIncorrect"):
        provider.check_health()
    with pytest.raises(ProviderError, match="not tried again"):
        provider.check_health()
    pin.write_text(PIN)
    provider.check_health()


def test_a_pin_from_a_variable(hsm, monkeypatch):
    softhsm(hsm).C_CloseAllSessions(ctypes.c_ulong(slot(hsm)))
    url = hsm.url.replace(f"file:{hsm.pin_file}", "env:HSM_PIN")
    monkeypatch.delenv("HSM_PIN", raising=False)
    provider = from_url(url, timeout_s=1)
    with pytest.raises(ProviderError, match="HSM_PIN"):
        provider.check_health()
    monkeypatch.setenv("HSM_PIN", PIN)
    provider.check_health()


def test_the_name_leaves_out_what_differs_between_hosts():
    one = parse("pkcs11:token=My%20HSM;object=root;id=%01%ff?module-path=/a.so&pin-source=file:/a")
    other = parse(
        "pkcs11:object=root;id=%01%FF;token=My%20HSM?pin-source=env:PIN&module-path=/b.so"
    )
    assert one.name == other.name == "pkcs11:token=My%20HSM;object=root;id=%01%FF"
    assert (one.label, one.id, one.token) == ("root", b"\x01\xff", (("token", "My HSM"),))


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("pkcs11:token=a;object=b?pin-source=file:/pin", "module-path"),
        ("pkcs11:token=a;object=b?module-path=m.so&pin-source=file:/pin", "module-path"),
        ("pkcs11:token=a;object=b?module-path=/m.so", "pin-source"),
        ("pkcs11:token=a;object=b?module-path=/m.so&pin-value=1234", "pin-value"),
        ("pkcs11:object=b" + TAIL, "token"),
        ("pkcs11:token=a" + TAIL, "object"),
        ("pkcs11:token=a;object=b;type=private" + TAIL, "secret-key"),
        ("pkcs11:token=a;token=b;object=c" + TAIL, "twice"),
        ("pkcs11:token=a;object=b;slot-id=3" + TAIL, "not understood"),
        ("pkcs11:token=%zz;object=b" + TAIL, "percent"),
        ("pkcs11:token=%ff;object=b" + TAIL, "UTF-8"),
    ],
)
def test_a_malformed_uri_says_what_it_lacks(uri, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse(uri)
    assert "1234" not in str(caught.value)


def test_a_missing_library_or_a_pin_in_the_url_is_refused_at_start(hsm, tmp_path):
    with pytest.raises(ConfigurationError, match="is not there"):
        build_provider(hsm.url.replace(hsm.module, str(tmp_path / "none.so")))
    with pytest.raises(ConfigurationError, match="never as itself") as caught:
        build_provider(hsm.url.replace(f"file:{hsm.pin_file}", PIN))
    assert PIN not in str(caught.value)
