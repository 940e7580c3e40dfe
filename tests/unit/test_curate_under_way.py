"""The steps of a drafting run that has not ended, read beside it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from agents.checkpoints import postgres_checkpoints
from agents.curate import checkpoint_store
from daemon.redo import CURATE_FILE
from daemon.services import Services
from daemon.store import postgres
from daemon.store.rows import ChangeRow
from daemon.store.states import ChangeState
from tests.daemon_support import NOW, settings_at

KEY = "Q1:P6:Q2:Q3"
STEP = {"step": "ground", "found": 2}


class _State(TypedDict):
    steps: list[dict[str, Any]]


async def cut_run(services: Services) -> None:
    """A run of two steps that stops before the second, as a kill would leave it."""
    graph = StateGraph(_State)
    graph.add_node("ground", lambda _: {"steps": [STEP]})
    graph.add_node("draft", lambda _: {"steps": []})
    graph.add_edge(START, "ground")
    graph.add_edge("ground", "draft")
    graph.add_edge("draft", END)
    store: Any = (
        checkpoint_store(services.settings.home / CURATE_FILE)
        if services.database.is_sqlite
        else postgres_checkpoints(postgres.conninfo(services.database.url))
    )
    async with store as saver:
        compiled = graph.compile(checkpointer=saver, interrupt_before=["draft"])
        config: Any = {"configurable": {"thread_id": KEY}}
        await compiled.ainvoke({"steps": []}, config, durability="sync")


def test_a_run_that_is_under_way_shows_its_steps(database_url: str, tmp_path: Path) -> None:
    with Services.open(settings_at(tmp_path, database_url)) as services:
        with services.database.write() as session:
            row = ChangeRow(
                key=KEY,
                slot="Q1:P6",
                subject="Q1",
                property="P6",
                state=ChangeState.DRAFTING.value,
                fact={},
                created_at=NOW,
                updated_at=NOW,
            )
            session.add(row)
            session.flush()
            number = row.id or 0
        assert services.drafts.of(number) == [], "no worker has begun"
        asyncio.run(cut_run(services))
        (drafted,) = services.drafts.of(number)
        assert (drafted.version, drafted.steps) == (0, (STEP,))
