"""The ways in which a secret could be written down, for tests that search for it."""

import base64
from urllib.parse import quote


def spellings(secret: str | bytes) -> dict[str, bytes]:
    """Spelling → the bytes to search for."""
    raw = secret.encode() if isinstance(secret, str) else secret
    # Base64 depends on where a value begins: three alignments, without the characters at the edges
    # that its neighbours share.
    aligned = {
        f"{name} at {k}": encode(b"\0" * k + raw)[4:-4].rstrip(b"=")
        for name, encode in (
            ("base64", base64.b64encode),
            ("base64url", base64.urlsafe_b64encode),
        )
        for k in range(3)
    }
    found = aligned | {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "\\x": "".join(f"\\x{byte:02x}" for byte in raw).encode(),
        "repr": repr(raw)[2:-1].encode(),
        "url": quote(raw, safe="").encode(),
        "reversed": raw[::-1],
        "reversed hex": raw[::-1].hex().encode(),
    }
    if isinstance(secret, str):
        found |= {
            "utf-16": secret.encode("utf-16-le"),
            "escaped": secret.encode("unicode_escape"),
            "json": ascii(secret)[1:-1].encode(),
        }
    return found


def found_in(content: bytes, secret: str | bytes) -> list[str]:
    """The spellings of `secret` that `content` holds."""
    return [name for name, needle in spellings(secret).items() if needle in content]
