"""One controller a stage: what is due is read from the database, one step is taken, and committed.

Each has `async def reconcile() -> int`, the number of steps taken; 0 means there is nothing to do
now. A restart needs nothing: state is rows and job folders.
"""
