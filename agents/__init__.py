"""From an edit on Wikidata to a proposed edit unit.

Every Wikidata protocol and both LangGraph graphs (`watch`, `curate`) live here. What is found is
handed to the ports of `agents.ledger`; the daemon's store implements them.
"""

from __future__ import annotations

import os

# Langgraph reads both while it is imported, by whichever module comes first; this one is before all
# of them. A checkpoint must not be able to name classes to load, and nothing of a run may leave the
# machine unasked.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
os.environ.setdefault("LANGSMITH_TRACING", "false")
