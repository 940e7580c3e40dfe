"""From a batch of edit units to a LoRA adapter. torch lives here, and only here.

`trainer.job` and `trainer.recipe` import without torch, so that the daemon can plan jobs.
"""
