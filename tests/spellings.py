"""The ways in which a secret could be written down, for tests that search for it."""

import base64
from urllib.parse import quote


def spellings(text: str) -> dict[str, bytes]:
    """Spelling → the bytes to search for."""
    raw = text.encode()
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
    return aligned | {
        "utf-8": raw,
        "utf-16": text.encode("utf-16-le"),
        "escaped": text.encode("unicode_escape"),
        "json": ascii(text)[1:-1].encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": quote(text, safe="").encode(),
        "reversed": raw[::-1],
    }


def found_in(content: bytes, text: str) -> list[str]:
    """The spellings of `text` that `content` holds."""
    return [name for name, needle in spellings(text).items() if needle in content]
