"""Wikidata's protocols and what they mean: from a marked item to a classified difference.

The modules are imported by name; nothing is re-exported here.
"""
