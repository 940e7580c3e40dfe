"""Engines: language models of `knowledge.model` over real weights."""
