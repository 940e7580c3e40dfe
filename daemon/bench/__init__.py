"""Measurements: each bar of the project is a row of some `make bench-NAME`."""
