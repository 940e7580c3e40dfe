"""What is thrown away with time: folders of ended jobs, single edits, answers, sent messages.

Owns the ages and the deleting. Never touches changes, drafts, units, releases, adapters, histories
or the audit trail: what the model was taught stays explainable for good.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import Session, col, delete, select

from daemon.operating import RetentionSettings
from daemon.store.rows import (
    AnswerRow,
    DismissalRow,
    EditVerdictRow,
    NotificationRow,
    ReleaseRow,
    SpendRow,
)
from daemon.store.states import OPEN_RELEASES

if TYPE_CHECKING:
    from daemon.services import Services

_MESSAGES_DAYS = 90.0


def clean(services: Services) -> str:
    """Throw away what is old; what that was, in words. Harmless when repeated."""
    settings, now = services.settings.retention, services.clock.now()
    with services.database.write() as session:
        rows = _rows(session, settings, now)
        open_ids = set(
            session.exec(
                select(ReleaseRow.id).where(
                    col(ReleaseRow.state).in_([state.value for state in OPEN_RELEASES])
                )
            ).all()
        )
    folders = _folders(services.settings.job_folder, open_ids, settings.jobs_days)
    return f"{rows} rows and {folders} job folders thrown away"


def _rows(session: Session, settings: RetentionSettings, now: dt.datetime) -> int:
    verdicts = now - dt.timedelta(days=settings.verdicts_days)
    machine = dt.datetime.now(dt.UTC)
    gone = 0
    for statement in (
        delete(EditVerdictRow).where(col(EditVerdictRow.time) < verdicts),
        delete(DismissalRow).where(col(DismissalRow.at) < verdicts),
        delete(AnswerRow).where(
            col(AnswerRow.at) < machine - dt.timedelta(days=settings.answers_days)
        ),
        delete(NotificationRow).where(
            col(NotificationRow.sent_at) < machine - dt.timedelta(days=_MESSAGES_DAYS)
        ),
        delete(SpendRow).where(
            col(SpendRow.day) < (machine - dt.timedelta(days=_MESSAGES_DAYS)).strftime("%Y-%m-%d")
        ),
    ):
        gone += session.exec(statement).rowcount
    return gone


def _folders(root: Path, open_ids: set[int | None], days: float) -> int:
    """Folders whose release is no longer on its way and that nobody has written to for so long."""
    oldest = dt.datetime.now(dt.UTC).timestamp() - days * 86400
    gone = 0
    for folder in root.glob("*-*-*"):
        number = folder.name.split("-")[1]
        if not number.isdigit() or int(number) in open_ids or not folder.is_dir():
            continue
        newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
        if newest < oldest:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone
