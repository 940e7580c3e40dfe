"""Ground floor of Almanac: the vocabulary and the shared ground truth.

Pure values only. Nothing in this package opens a socket, a database or a model.
"""
