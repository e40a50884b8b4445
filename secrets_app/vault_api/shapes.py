"""Bodies and query parameters as JSON Schema, for the OpenAPI document of this door."""

from typing import Any

from secrets_app.readable import readable_pattern

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_TEXT: Schema = {"type": "string"}
_NOTE: Schema = {"type": "string", "pattern": readable_pattern(), "maxLength": 512}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    described: Schema = {"type": "object", "properties": properties}
    return described | ({"required": list(required)} if required else {})


DATA = _object(("data",), data={"type": "object"}, options=_object(cas=_NUMBER))
VERSIONS = _object(
    ("versions",),
    versions={"type": "array", "items": _NUMBER | {"minimum": 1}, "minItems": 1, "maxItems": 1000},
)
SETTINGS = _object(
    max_versions=_NUMBER,
    cas_required={"type": "boolean"},
    delete_version_after={"type": "string", "pattern": "^([0-9]{1,4}[hms])+$", "maxLength": 20},
    custom_metadata={"type": "object", "maxProperties": 64, "additionalProperties": _NOTE},
)
APPROLE = _object(("role_id", "secret_id"), role_id=_TEXT, secret_id=_TEXT)
JWT = _object(("role", "jwt"), role=_TEXT, jwt=_TEXT)
USERPASS = _object(("password",), password=_TEXT)
TOKEN = _object(ttl={"type": "string", "pattern": "^[0-9]{1,4}[hms]$"})
PATHS = _object(path=_TEXT, paths={"type": "array", "items": _TEXT, "maxItems": 100})

VERSION: Schema = {"version": _NUMBER}
DEPTH: Schema = {"depth": _NUMBER}
