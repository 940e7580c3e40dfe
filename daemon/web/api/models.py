"""Bodies of the API that are no values of a service: requests, acknowledgements, errors."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from daemon.accounts import Role, Token
from daemon.review.approvals import BULK_LIMIT
from knowledge.narrative import ClaimKind

MOST = 2**31 - 1
TEXT = r"^[^\x00]*$"
"""What a database of any kind can store."""

Id = Annotated[int, Path(ge=1, le=MOST)]
Cursor = Annotated[int | None, Query(ge=0, le=MOST, description="`cursor` of the answer before")]
Limit = Annotated[int, Query(ge=1, le=200)]
Text = Annotated[str, Field(max_length=2_000, pattern=TEXT)]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
Digest = Annotated[str, Field(min_length=8, max_length=64, pattern="^[0-9a-f]+$")]
Word = Annotated[str, Query(max_length=200, pattern=TEXT)]


class Body(BaseModel):
    """A request: what it does not know is an error."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What was refused, and what to do next."""

    code: str
    """Kind of the error, e.g. `Conflict`."""
    message: str


class Done(BaseModel):
    """The act is done."""

    id: int
    done: str


class Approve(Body):
    digest: Digest
    """Of the draft that was read; 8 characters or more."""
    reason: Annotated[str, Field(max_length=500, pattern=TEXT)] = ""


class Chosen(Body):
    id: Annotated[int, Field(ge=1, le=MOST)]
    digest: Digest


class ApproveMany(Body):
    items: Annotated[list[Chosen], Field(min_length=1, max_length=BULK_LIMIT)]
    reason: Annotated[str, Field(max_length=500, pattern=TEXT)] = ""


class BulkDone(BaseModel):
    approved: list[int]
    first_of_two: list[int]
    refused: dict[int, str]


class Reject(Body):
    reason: Reason


class Remark(Body):
    reason: Annotated[str, Field(max_length=500, pattern=TEXT)] = ""


class Why(Body):
    reason: Reason


class EditDraft(Body):
    digest: Digest
    claims: dict[ClaimKind, Text] = {}
    cause: Annotated[str, Field(max_length=160, pattern=TEXT)] | None = None
    """A few words, or empty where no source states one; left out, it stays."""


class Edited(BaseModel):
    id: int
    digest: str
    clean: bool
    findings: int


class Claimed(BaseModel):
    id: int
    until: str
    """ISO 8601, UTC."""


class Answer(Body):
    agrees: bool
    reason: Annotated[str, Field(max_length=500, pattern=TEXT)] = ""


class Promote(Body):
    reason: Reason
    expected_generation: Annotated[int, Field(ge=0, le=MOST)] | None = None
    override: bool = False


class RollBack(Body):
    reason: Reason
    to: Annotated[str, Field(max_length=80, pattern=TEXT)] | None = None
    expected_generation: Annotated[int, Field(ge=0, le=MOST)] | None = None


class NewToken(Body):
    label: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00]*\S[^\x00]*$")]
    role: Role
    days: Annotated[int, Field(ge=1, le=365)] = 90


class MadeToken(BaseModel):
    token: Token
    secret: str
    """Told this once."""


class NewUser(Body):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,39}$")]
    role: Role


class MadeUser(BaseModel):
    name: str
    role: Role
    link: str
    """Path of a one-time link into the account."""


class ChangeUser(Body):
    role: Role | None = None
    disabled: bool | None = None


class Me(BaseModel):
    name: str
    role: Role
    via: str


class Chain(BaseModel):
    """Whether the audit trail is whole."""

    whole: bool
    broken_at: int | None
