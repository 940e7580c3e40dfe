"""The pages, one module a place. Each is a view of a service; the rules are the services'."""

from __future__ import annotations

from daemon.web.pages import (
    account,
    audit,
    changes,
    decide,
    overview,
    playground,
    releases,
    review,
    settings,
    versions,
)

ROUTERS = (
    account.router,
    overview.router,
    review.router,
    decide.router,
    changes.router,
    releases.router,
    versions.router,
    playground.router,
    audit.router,
    settings.router,
)
