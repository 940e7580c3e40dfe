"""Synthetic articles for a file of records: the models of the settings, and a file that is whole at
every moment.

Owns the joining of `agents.synthetic` with settings, ledger and file. Marks and verdicts are its.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agents.synthetic import Scaffold, Tally
from daemon.chats import model_chat, shared_budget
from daemon.services import Services
from daemon.store.spending import SqlAnswerLedger
from knowledge import mquake


def run(services: Services, records: Sequence[mquake.Record], out: Path) -> Tally:
    """Fill in what is missing and write `out` after each article. The generator is the `drafter` of
    the settings, the verifier is `verifier`, or the drafter's model where none is set.

    Raises ConfigError without a model, and the errors of `agents.drafting.chat`."""
    return asyncio.run(_run(services, records, out))


async def _run(services: Services, records: Sequence[mquake.Record], out: Path) -> Tally:
    settings = services.settings
    answers = SqlAnswerLedger(services.database, services.clock)
    budget = shared_budget(settings, answers)
    async with AsyncExitStack() as stack:
        generator = await model_chat(
            settings.drafter, "drafter", stack, answers, budget, max_tokens=2_000
        )
        apart = settings.verifier.endpoint or settings.verifier.model
        verifier = (
            await model_chat(settings.verifier, "verifier", stack, answers, budget)
            if apart
            else generator
        )
        made = Scaffold(generator, verifier, at_once=settings.curate.at_once)

        async def save() -> None:
            temporary = out.with_name(f".{out.name}.tmp")
            mquake.write_records(temporary, records)
            os.replace(temporary, out)

        tally = await made.fill(records, save)
        await save()
        return tally
