"""EncryptedField: a model attribute that is sealed when it is saved, and stays sealed when it is loaded.

It works like Django's FileField: the attribute is a handle. To write, assign a `Plaintext`; `pre_save`
seals it, since the row is known by then. After loading, the attribute is a `Sealed`, which holds
ciphertext only. Only `services.secrets.reveal` opens it.

The model must have `encryption_context()`, which returns a `crypto.context.EncryptionContext`.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Case, Col, Value
from django.db.models.functions import Cast
from django.db.models.lookups import IsNull

from secrets_app.crypto.plaintext import Plaintext
from secrets_app.keys import keyring

_REFUSED = (
    "An EncryptedField holds ciphertext bound to its row: {what}. Assign a Plaintext and save the"
    " object to write it; use services.reveal to read it."
)


class Sealed:
    """The envelope's bytes as they are in the database. Its repr shows nothing."""

    __slots__ = ("envelope",)

    def __init__(self, envelope: bytes) -> None:
        self.envelope = envelope

    def __repr__(self) -> str:
        return "<Sealed>"

    __str__ = __repr__


class _SealedColumn(Col):
    """Refuses ORDER BY: Django resolves a column a second time only for that."""

    def resolve_expression(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise FieldError(_REFUSED.format(what="it cannot be ordered by"))


class _SealedIsNull(IsNull):
    """The only lookup. It compares the column as it is."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> Any:
        return compiler.compile(self.lhs if lhs is None else lhs)


class EncryptedField(models.Field):  # type: ignore[type-arg]
    """A sealed value in a binary column. It is never indexed, looked up, ordered by or serialised."""

    description = "A value under envelope encryption"
    empty_strings_allowed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        return name, path, args, kwargs

    def get_internal_type(self) -> str:
        return "BinaryField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))

    def pre_save(self, model_instance: Any, add: bool) -> Sealed | None:
        value: Plaintext | Sealed | None = getattr(model_instance, self.attname)
        if isinstance(value, Plaintext):
            context = model_instance.encryption_context()
            value = Sealed(keyring().seal(value, context))
            setattr(model_instance, self.attname, value)
        return value

    def get_prep_value(self, value: Any) -> bytes | None:
        if value is None:
            return None
        if isinstance(value, Sealed):
            return value.envelope
        raise FieldError(_REFUSED.format(what=f"it does not take a {type(value).__name__} here"))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        raw = value if prepared else self.get_prep_value(value)
        return None if raw is None else connection.Database.Binary(raw)

    def to_python(self, value: Any) -> Any:
        if value is None or isinstance(value, (Plaintext, Sealed)):
            return value
        raise FieldError(_REFUSED.format(what=f"it is not made from a {type(value).__name__}"))

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """Refuse to write the column by any expression except the one that `bulk_update` makes of
        handles.
        """
        if hasattr(value, "resolve_expression") and not self._is_bulk_update(value):
            raise FieldError(_REFUSED.format(what="it cannot be written by an expression"))
        return "%s"

    def get_placeholder_sql(self, value: Any, compiler: Any, connection: Any) -> Any:
        """Do the same for Django 6.1 and later, which calls this instead of `get_placeholder`."""
        placeholder = self.get_placeholder(value, compiler, connection)
        if hasattr(value, "as_sql"):
            sql, parameters = compiler.compile(value)
            return placeholder % sql, parameters
        return placeholder, (value,)

    def _is_bulk_update(self, expression: Any) -> bool:
        values: list[Any] = [p for p in expression.flatten() if isinstance(p, Value)]
        return isinstance(expression, (Case, Cast)) and all(
            part.value is None or part._output_field_or_none is self for part in values
        )

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name == "isnull":
            return _SealedIsNull
        raise FieldError(_REFUSED.format(what="it cannot be looked up"))

    def get_transform(self, lookup_name: str) -> NoReturn:
        raise FieldError(_REFUSED.format(what="it cannot be transformed"))

    def get_col(self, alias: str, output_field: Any = None) -> Col:
        return _SealedColumn(alias, self, output_field)

    def value_to_string(self, obj: Any) -> NoReturn:
        raise FieldError(_REFUSED.format(what="it cannot be serialised"))

    def formfield(self, **kwargs: Any) -> None:
        return None
