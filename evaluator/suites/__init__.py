"""Bundled offline capability tasks; `python -m evaluator.suites.build` writes them anew."""
