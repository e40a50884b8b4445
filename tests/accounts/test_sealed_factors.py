"""What is stored of a second factor's secret opens with the key that sealed it, and is nothing else."""

import pytest

from secrets_app.errors import OpenError
from secrets_app.services.identity import open_factor, seal_factor

pytestmark = pytest.mark.django_db


def test_it_opens_and_does_not_show():
    sealed = seal_factor("JBSWY3DPEHPK3PXP")
    assert open_factor(sealed) == "JBSWY3DPEHPK3PXP"
    assert "JBSWY3DPEHPK3PXP" not in sealed
    assert seal_factor("JBSWY3DPEHPK3PXP") != sealed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda _: "JBSWY3DPEHPK3PXP",
        lambda sealed: sealed.replace("sealed", "opened"),
        lambda sealed: sealed.replace("sealed:1", "sealed:x"),
        lambda sealed: sealed.replace("sealed:1", "sealed:2"),
        lambda sealed: sealed[:-8] + "AAAAAAAA",
        lambda sealed: sealed[:20],
        lambda sealed: sealed + ":",
        lambda _: "sealed:1:!!!!",
        lambda _: "derived:1:zz",
    ],
)
def test_what_somebody_altered_opens_to_nothing(spoil):
    sealed = seal_factor("JBSWY3DPEHPK3PXP")
    with pytest.raises(OpenError):
        open_factor(spoil(sealed))
