"""The gateway: an OpenAI-compatible endpoint whose model name stays while the adapter behind it changes."""
