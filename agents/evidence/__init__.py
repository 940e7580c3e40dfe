"""Evidence for a change: fetched, kept as snapshots, and read out under quarantine.

The modules are imported by name; nothing is re-exported here.
"""
