"""Vocabulary to JSON and back: the one wire form for job files, the store and the API.

Any dataclass of this package round-trips; reading checks types and raises
`pydantic.ValidationError`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_data(value: Any, kind: Any = None) -> Any:
    """JSON-able Python data of a value; `kind` is needed for generic types such as tuples."""
    return _adapter(kind or type(value)).dump_python(value, mode="json")


def from_data(kind: type[T], data: Any) -> T:
    """A value of `kind` out of JSON-able data. Raises `pydantic.ValidationError`."""
    return _adapter(kind).validate_python(data)


def to_json(value: Any, kind: Any = None) -> str:
    return _adapter(kind or type(value)).dump_json(value).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """A value of `kind` out of JSON text. Raises `pydantic.ValidationError`."""
    return _adapter(kind).validate_json(text)
