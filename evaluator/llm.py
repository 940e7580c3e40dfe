"""The LLM judge: one structured call an output returns flags; code derives the verdict.

Owns the prompt, its version, the checks on a reply, and the reuse of stored replies. The model
never says "right" or "self-refuting" with effect: those follow from its flags, and a reply whose
own opinion contradicts its flags is asked for once more and then recorded as an error, which is a
third value and counts in no metric. Before any output, the judge reads control outputs whose flags
are known; a judge that gets them wrong gives no verdict at all (`evaluator.controls`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from evaluator.controls import Control, controls, fault_of
from evaluator.errors import JudgeReplyError, JudgeUnavailable
from evaluator.examine import Output
from evaluator.judge import claims, is_right, probe_of
from evaluator.probes import Probe, Suite
from evaluator.refutation import refutation
from evaluator.stores import JudgementStore, MemoryJudgements
from evaluator.verdicts import Cause, Final, Verdict
from knowledge.questions import QuestionKind

PROMPT = Path(__file__).with_name("prompts") / "judge.md"
ATTEMPTS = 2
CHECKED_EDITS = 3
"""Edits whose control outputs the judge has to read before it is believed."""


class ChatClient(Protocol):
    """What the judge needs of an endpoint: one JSON reply to a system and a user text.

    `complete` raises JudgeUnavailable when the endpoint does not answer.
    """

    @property
    def model(self) -> str: ...

    async def complete(self, system: str, user: str, schema: dict[str, Any]) -> str: ...


class Flags(BaseModel):
    """What the judge model reports about one output, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    asserts_new: bool
    negates_new: bool
    asserts_old_current: bool
    ends_affirming_new: bool
    final_answer: Literal["right", "legacy", "other", "mixed", "none"]
    says: Literal["yes", "no", "neither"]
    cause: Literal["right", "wrong", "unknown", "absent"]
    hedged: bool
    self_refuting: bool
    """The model's own opinion; only compared with what the flags say."""


class LlmJudge:
    """Judges outputs through a chat endpoint, `parallel` calls at a time.

    An endpoint that is down, a reply that is not the asked structure, and flags that contradict
    each other give a row with an `error`; no exception ends the table. Good replies are kept in
    `store` under (judge model, prompt version, input), so a second run asks only for what is
    missing. `checked` edits give three control outputs each; 0 leaves the judge unchecked.
    """

    def __init__(
        self,
        client: ChatClient,
        *,
        store: JudgementStore | None = None,
        parallel: int = 8,
        checked: int = CHECKED_EDITS,
    ) -> None:
        self._client = client
        self._store = store or MemoryJudgements()
        self._parallel = parallel
        self._checked = checked

    @property
    def name(self) -> str:
        return f"llm/{self._client.model}/{prompt_version()}"

    def judge(self, suite: Suite, outputs: Sequence[Output]) -> list[Verdict]:
        """One row an output, in order. Not for use inside a running event loop: see `judge_all`."""
        return asyncio.run(self.judge_all(suite, outputs))

    async def judge_all(self, suite: Suite, outputs: Sequence[Output]) -> list[Verdict]:
        """As `judge`, for callers with an event loop of their own."""
        gate = asyncio.Semaphore(self._parallel)
        pairs = [(probe_of(suite, output), output) for output in outputs]
        fault = await self._fault(gate, controls(suite, self._checked))
        if fault:
            return [_without_verdict(probe, fault) for probe, _ in pairs]
        return list(await asyncio.gather(*(self._one(gate, *pair) for pair in pairs)))

    async def _fault(self, gate: asyncio.Semaphore, known: Sequence[Control]) -> str | None:
        """Why this judge is not to be believed; None when it reads the controls rightly."""
        rows = await asyncio.gather(*(self._one(gate, c.probe, c.output) for c in known))
        return fault_of(self._client.model, known, rows)

    async def _one(self, gate: asyncio.Semaphore, probe: Probe, output: Output) -> Verdict:
        asked = user_prompt(probe, output)
        key = self._key(asked)
        known = self._store.get(key)
        if known is not None:
            try:
                return row_of(probe, parse(known))
            except JudgeReplyError:
                known = None  # an unreadable stored reply is asked for again
        fault = ""
        for _ in range(ATTEMPTS):
            async with gate:
                try:
                    reply = await self._client.complete(
                        system_prompt(), asked, Flags.model_json_schema()
                    )
                    row = row_of(probe, parse(reply))
                except (JudgeReplyError, JudgeUnavailable) as error:
                    fault = str(error)
                    continue
            self._store.put(key, reply)
            return row
        return _without_verdict(probe, fault)

    def _key(self, asked: str) -> str:
        digest = hashlib.sha256(asked.encode()).hexdigest()
        return f"{self._client.model}:{prompt_version()}:{digest}"


@cache
def system_prompt() -> str:
    return PROMPT.read_text(encoding="utf-8")


@cache
def prompt_version() -> str:
    """Hash over prompt and reply structure: a change of either makes stored replies unused."""
    schema = json.dumps(Flags.model_json_schema(), sort_keys=True)
    return hashlib.sha256((system_prompt() + schema).encode()).hexdigest()[:12]


def user_prompt(probe: Probe, output: Output) -> str:
    """The case as JSON. The output is data: it stands in its own field, whatever it says."""
    question = probe.question
    case = {
        "question": question.text,
        "kind": probe.kind.value,
        "right_answers": list(question.answers),
        "answers_before_the_change": list(question.legacy),
        "fact": {
            "subject": probe.subject,
            "new_holder": list(probe.new),
            "old_holder": list(probe.old),
        },
        "claim_checked": question.claimed,
        "cause_of_the_change": question.cause or "not known",
        "output": output.text,
    }
    return json.dumps(case, ensure_ascii=False, indent=1)


def parse(reply: str) -> Flags:
    """The flags of a reply; a fence around the JSON is allowed. Raises JudgeReplyError."""
    text = reply.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        return Flags.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "reply"
        message = f"the judge's reply is not usable: {where}: {first['msg']}"
        raise JudgeReplyError(message) from error


def row_of(probe: Probe, flags: Flags) -> Verdict:
    """The verdict row of a set of flags. Raises JudgeReplyError when they contradict each other."""
    yes = {"yes": True, "no": False, "neither": None}[flags.says]
    if probe.kind is not QuestionKind.CHECK:
        yes = None
    claims_new, claims_old = claims(probe)
    against = (claims_new and yes is False) or (claims_old and yes is True)
    row = Verdict(
        probe=probe.id,
        part=probe.part,
        kind=probe.kind,
        cluster=probe.cluster,
        asserts_new=flags.asserts_new,
        negates_new=flags.negates_new,
        asserts_old_current=flags.asserts_old_current,
        reaffirms_new=flags.ends_affirming_new and not against,
        final=Final(flags.final_answer),
        says_yes=yes,
        against=against,
        cause=Cause(flags.cause),
        cause_known=bool(probe.question.cause),
        cause_open=probe.question.cause_open,
        hedged=flags.hedged,
    )
    row = replace(row, right=is_right(row, probe.question.verdict))
    _consistent(probe, flags, row)
    return row


def _consistent(probe: Probe, flags: Flags, row: Verdict) -> None:
    """Raises JudgeReplyError for flags that cannot all be true of one output."""
    about_fact = probe.question.answers == probe.new and probe.kind is not QuestionKind.CHECK
    faults = {
        "ends affirming the new fact and gives the old answer": about_fact
        and flags.ends_affirming_new
        and row.final is Final.LEGACY,
        "ends affirming the new fact without asserting it": flags.ends_affirming_new
        and not flags.asserts_new,
        "the final answer is the new fact without asserting it": about_fact
        and row.final is Final.RIGHT
        and not flags.asserts_new,
        "self-refuting or not contradicts the flags": flags.self_refuting
        != (refutation(row) is not None)
        and not row.against,
    }
    for fault, holds in faults.items():
        if holds:
            raise JudgeReplyError(f"the judge contradicts itself: {fault}")


def _without_verdict(probe: Probe, error: str) -> Verdict:
    return Verdict(
        probe=probe.id, part=probe.part, kind=probe.kind, cluster=probe.cluster, error=error
    )
