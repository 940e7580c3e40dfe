"""Gauges as they are scraped: one number, or one for each value of a label. Names are others'."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily, Metric


def plain(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def labelled(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
