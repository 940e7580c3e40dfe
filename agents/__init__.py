"""From an edit on Wikidata to a proposed edit unit.

Every Wikidata protocol and both LangGraph graphs (`watch`, `curate`) live here. What is found is
handed to the ports of `agents.ledger`; the daemon's store implements them.
"""
