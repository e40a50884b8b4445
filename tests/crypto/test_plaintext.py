import copy
import json
import pickle

import pytest

from secrets_app.crypto.plaintext import Plaintext

CANARY = "canary-7f3a"
VALUE = Plaintext(CANARY.encode())


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda v: f"{v!s}"])
def test_no_way_of_formatting_shows_it(show):
    assert CANARY not in show(VALUE)


@pytest.mark.parametrize(
    "spill", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash, lambda v: v == v, bytes]
)
def test_it_cannot_be_pickled_copied_serialised_or_compared(spill):
    with pytest.raises(TypeError) as caught:
        spill(VALUE)
    assert CANARY not in str(caught.value)


def test_it_has_no_dictionary_to_dump():
    assert not hasattr(VALUE, "__dict__")


def test_reveal_gives_the_bytes_back():
    assert VALUE.reveal() == CANARY.encode()
    assert len(VALUE) == len(CANARY)
    assert Plaintext(b"")
