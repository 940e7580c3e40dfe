"""The gateway: one model name for the world, while the adapter behind it changes."""
