"""The gateway's health for Prometheus, under the names that the service has for it.

Owns what of the health is told; a gateway that is a service of its own has nobody else to tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from daemon.upkeep.degraded import Mode
from daemon.upkeep.gauges import labelled, plain


class GatewayCollector(Collector):
    """One scrape is one look at the health."""

    def __init__(self, health: Callable[[], dict[str, Any]]) -> None:
        self._health = health

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        health = self._health()
        answers, held_back = health["answers"], bool(health["problems"])
        yield labelled(
            "almanac_degraded",
            "1 while a degraded mode holds in this process",
            "mode",
            {
                Mode.GATEWAY.value: float(not answers),
                Mode.SERVING.value: float(answers and held_back),
            },
        )
        yield plain(
            "almanac_gateway_waiting", "Requests that wait for the model", health["waiting"]
        )


def metrics_of(health: Callable[[], dict[str, Any]]) -> bytes:
    """The text of one scrape."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(health))
    return generate_latest(registry)
