"""From a model under test to a verdict: probes, examination, judges, metrics, the gate, reports.

Knows no engine and no database: models come through `knowledge.model`, storage through the ports of
`evaluator.stores`.
"""
