"""SoftHSM2, behind a small PKCS #11 library that passes everything on and can be told to fail."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secrets_app.keys import create_root_key
from tests.providers.backends.base import undone

_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/*/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN = "8f2c-pin-4b71"

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
typedef unsigned long rv;
struct list { unsigned char version[2]; void *f[68]; };
static struct list *real, mine;
/* Positions in CK_FUNCTION_LIST (PKCS #11 v2.40, pkcs11f.h). */
enum { GET_SLOT_LIST = 4, OPEN_SESSION = 12, ENCRYPT_INIT = 29, DECRYPT_INIT = 33 };
static rv gate(void) {
    while (access(FAULTS "/slow", F_OK) == 0) usleep(10000);
    return access(FAULTS "/down", F_OK) == 0 ? 0x32 /* CKR_DEVICE_REMOVED */ : 0;
}
static rv slots(unsigned char present, unsigned long *list, unsigned long *count) {
    rv r = gate();
    return r ? r : ((rv (*)(unsigned char, unsigned long *, unsigned long *))
        real->f[GET_SLOT_LIST])(present, list, count);
}
static rv open_session(unsigned long slot, unsigned long flags, void *a, void *n, unsigned long *s) {
    rv r = gate();
    return r ? r : ((rv (*)(unsigned long, unsigned long, void *, void *, unsigned long *))
        real->f[OPEN_SESSION])(slot, flags, a, n, s);
}
static rv encrypt_init(unsigned long s, void *mechanism, unsigned long key) {
    rv r = gate();
    return r ? r : ((rv (*)(unsigned long, void *, unsigned long))
        real->f[ENCRYPT_INIT])(s, mechanism, key);
}
static rv decrypt_init(unsigned long s, void *mechanism, unsigned long key) {
    rv r = gate();
    return r ? r : ((rv (*)(unsigned long, void *, unsigned long))
        real->f[DECRYPT_INIT])(s, mechanism, key);
}
rv C_GetFunctionList(struct list **out) {
    void *so = dlopen(SOFTHSM, RTLD_NOW | RTLD_LOCAL);
    if (!so) return 5;
    rv (*get)(struct list **) = (rv (*)(struct list **))dlsym(so, "C_GetFunctionList");
    rv r = get(&real);
    if (r) return r;
    mine = *real;
    mine.f[GET_SLOT_LIST] = (void *)slots;
    mine.f[OPEN_SESSION] = (void *)open_session;
    mine.f[ENCRYPT_INIT] = (void *)encrypt_init;
    mine.f[DECRYPT_INIT] = (void *)decrypt_init;
    *out = &mine;
    return 0;
}
"""


def library() -> str | None:
    """Where SoftHSM2's library is, None when it is not installed."""
    root = Path("/")
    found = (path for place in _PLACES for path in sorted(root.glob(place[1:])))
    return next(map(str, found), None)


def why_not() -> str | None:
    """What is missing on this machine, None when all is there."""
    if library() is None or shutil.which("softhsm2-util") is None:
        return "SoftHSM2 is not installed (Debian: apt-get install softhsm2)"
    if shutil.which("cc") is None:
        return "there is no C compiler"
    return None


class SoftHsm:
    """A token of its own, with two keys made inside it."""

    def __init__(self, folder: Path) -> None:
        self.library = library() or ""
        self._folder = folder
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(configuration)
        self.environment = {"SOFTHSM2_CONF": str(configuration)}
        subprocess.run(
            [
                *("softhsm2-util", "--init-token", "--free", "--label", "vault"),
                *("--pin", PIN, "--so-pin", "0987654321"),
            ],
            check=True,
            capture_output=True,
        )
        self.pin_file = folder / "pin"
        self.pin_file.write_text(PIN + "\n")
        self.module = str(self._compile())
        self.secrets = [PIN]
        self.url, self.other_url = self.url_of("root"), self.url_of("other")
        for url in (self.url, self.other_url):
            create_root_key(url)

    def url_of(self, label: str, token: str = "vault") -> str:
        return (
            f"pkcs11:token={token};object={label}"
            f"?module-path={self.module}&pin-source=file:{self.pin_file}"
        )

    @contextmanager
    def down(self) -> Iterator[None]:
        with self._fault("down"):
            yield

    @contextmanager
    def stalled(self) -> Iterator[None]:
        with self._fault("slow"):
            yield

    @contextmanager
    def disabled(self) -> Iterator[None]:
        with undone(lambda: self._allow(False), lambda: self._allow(True)):
            yield

    @contextmanager
    def _fault(self, name: str) -> Iterator[None]:
        file = self._folder / name
        with undone(file.touch, file.unlink):
            yield

    def _allow(self, is_allowed: bool) -> None:
        """Another process (an HSM administrator) changes what the key may be used for."""
        import sys

        code = (
            "import pkcs11, sys\n"
            "module, pin, allowed = sys.argv[1:]\n"
            "token = pkcs11.lib(module).get_token(token_label='vault')\n"
            "with token.open(rw=True, user_pin=pin) as session:\n"
            "    key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label='root')\n"
            "    key[pkcs11.Attribute.ENCRYPT] = key[pkcs11.Attribute.DECRYPT] = allowed == 'True'\n"
        )
        arguments = [sys.executable, "-c", code, self.library, PIN, str(is_allowed)]
        subprocess.run(arguments, check=True, capture_output=True)

    def _compile(self) -> Path:
        source, built = self._folder / "shim.c", self._folder / "shim.so"
        source.write_text(_SHIM)
        subprocess.run(
            [
                *("cc", "-shared", "-fPIC", "-O1", "-o", str(built), str(source)),
                *(f'-DSOFTHSM="{self.library}"', f'-DFAULTS="{self._folder}"', "-ldl"),
            ],
            check=True,
        )
        return built
