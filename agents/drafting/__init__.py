"""Drafters: from checked candidates to a causal narrative, behind one interface.

The modules are imported by name; nothing is re-exported here.
"""
