"""The review queue: proposals, decisions bound to what was read, and the auto-approve policy."""
