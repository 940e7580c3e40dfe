"""The filter of a list as it stands in the URL. Pure: parameters to a query and back."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from daemon.review.query import Checks, Order, Query
from daemon.store.states import ChangeState

ALL = tuple(ChangeState)


def parse(
    parameters: Mapping[str, str], states: tuple[ChangeState, ...] = (ChangeState.IN_REVIEW,)
) -> Query:
    """What is not understood does not filter. `states` hold where the URL names none."""
    state = parameters.get("state", "")
    if state == "all":
        states = ALL
    elif state in set(ChangeState):
        states = (ChangeState(state),)
    checks, order = parameters.get("checks", ""), parameters.get("order", "")
    return Query(
        states=states,
        q=parameters.get("q", "")[:200],
        property=parameters.get("property", ""),
        kind=parameters.get("kind", ""),
        checks=Checks(checks) if checks in set(Checks) else None,
        source=parameters.get("source", ""),
        claimed_by=parameters.get("claimed_by", ""),
        older_than_h=_hours(parameters.get("older_than_h", "")),
        order=Order(order) if order in set(Order) else Order.OLDEST,
    )


def to_parameters(query: Query) -> dict[str, str]:
    """Only what differs from the plain queue."""
    found: dict[str, str] = {}
    if query.states != (ChangeState.IN_REVIEW,):
        found["state"] = query.states[0] if len(query.states) == 1 else "all"
    for name in ("q", "property", "kind", "source", "claimed_by"):
        if value := getattr(query, name):
            found[name] = value
    if query.checks is not None:
        found["checks"] = query.checks
    if query.older_than_h is not None:
        found["older_than_h"] = f"{query.older_than_h:g}"
    if query.order is not Order.OLDEST:
        found["order"] = query.order
    return found


def to_url(query: Query, **more: object) -> str:
    """`?q=...`, or nothing."""
    parameters = {**to_parameters(query), **{k: str(v) for k, v in more.items() if v is not None}}
    return f"?{urlencode(parameters)}" if parameters else ""


def _hours(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1e6 else None
