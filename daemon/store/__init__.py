"""Persistence: rows, states and their transitions, the engine, leases, and the ports' memories.

Services (`review`, `registry`, `jobs`) and controllers use it; web and command line never do.
"""
