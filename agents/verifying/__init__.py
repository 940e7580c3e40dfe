"""Verifiers: what a narrative may say, first by rules, then by a model.

The modules are imported by name; nothing is re-exported here.
"""
