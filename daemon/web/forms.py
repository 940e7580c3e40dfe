"""Forms of the pages: URL-encoded, nothing else. Owns reading them; what is in them is checked by
the services."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from daemon.errors import Conflict
from daemon.web.security import MAX_BODY_BYTES

_MOST_FIELDS = 1_000


class Form:
    """The fields of a form; a field that was not sent is an empty text."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])


async def read_form(request: Request) -> Form:
    """Raises Conflict for a body that is no form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise Conflict("the form is too large")
    try:
        text = body.decode("utf-8")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Conflict("the form cannot be read; send it from its page") from None


Sent = Annotated[Form, Depends(read_form)]
