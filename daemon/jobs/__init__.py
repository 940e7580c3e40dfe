"""Child processes: training and evaluation run beside the daemon, never inside it.

A job is a folder, and the folder is the truth: whatever happens to the parent, a finished result is
taken over and an unfinished job goes on.
"""
