"""The demo: the whole loop on real facts, offline, in minutes."""
