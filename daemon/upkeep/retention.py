"""What is thrown away with time: folders of ended jobs, single edits, answers, sent messages.

Owns the ages and the deleting. Never touches changes, drafts, units, releases, adapters, histories
or the audit trail: what the model was taught stays explainable for good.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Mapping
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
_OF_A_RELEASE = re.compile(r"(?:train|evaluate)-(\d{6,})-")


def clean(services: Services) -> str:
    """Throw away what is old; what that was, in words. Harmless when repeated."""
    settings, now = services.settings.retention, services.clock.now()
    with services.database.write() as session:
        rows = _rows(session, settings, now)
        ends = {
            row.id: None if row.state in OPEN_RELEASES else row.updated_at
            for row in session.exec(select(ReleaseRow)).all()
        }
    folders = _folders(services.settings.job_folder, ends, now, settings.jobs_days)
    return f"{rows} rows and {folders} job folders thrown away"


def _rows(session: Session, settings: RetentionSettings, now: dt.datetime) -> int:
    verdicts = now - dt.timedelta(days=settings.verdicts_days)
    messages = now - dt.timedelta(days=_MESSAGES_DAYS)
    gone = 0
    for statement in (
        delete(EditVerdictRow).where(col(EditVerdictRow.time) < verdicts),
        delete(DismissalRow).where(col(DismissalRow.at) < verdicts),
        delete(AnswerRow).where(col(AnswerRow.at) < now - dt.timedelta(days=settings.answers_days)),
        delete(NotificationRow).where(
            col(NotificationRow.sent_at).is_not(None), col(NotificationRow.created_at) < messages
        ),
        delete(SpendRow).where(col(SpendRow.day) < messages.date().isoformat()),
    ):
        gone += session.exec(statement).rowcount
    return gone


def _folders(
    root: Path, ends: Mapping[int | None, dt.datetime | None], now: dt.datetime, days: float
) -> int:
    """Folders of releases that ended so long ago (`ends`; None is one on its way), and those of no
    release, which a person asked for, once nobody has written to them for so long."""
    gone = 0
    for folder in root.glob("*-*-*"):
        if not folder.is_dir():
            continue
        release = _OF_A_RELEASE.match(folder.name)
        if release is not None and int(release[1]) in ends:
            ended, time = ends[int(release[1])], now
        else:
            ended, time = _written(folder), dt.datetime.now(dt.UTC)
        if ended is not None and ended < time - dt.timedelta(days=days):
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone


def _written(folder: Path) -> dt.datetime:
    """When something in it was written last, by the machine's clock."""
    newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
    return dt.datetime.fromtimestamp(newest, dt.UTC)
