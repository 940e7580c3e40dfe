"""Every row of a database as files, and back: the same form for SQLite and PostgreSQL.

Owns the form (one gzipped file of JSON lines a table, as the database itself describes its tables,
so that a schema of any age can be dumped), one snapshot for all tables, and loading into an empty
database of the same schema. Knows nothing of what the rows mean.
"""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, MetaData, Table, func, insert, select, text

from daemon.errors import BlobError

SUFFIX = ".jsonl.gz"
VERSION_TABLE = "alembic_version"
_PORTION = 500
_READ = 100
"""Rows in memory at a time: a draft has tens of kilobytes."""
_LEVEL = 6
"""Of compression; 9, Python's own choice, takes half as long again for a few percent."""


def dump(connection: Connection, folder: Path) -> dict[str, int]:
    """Write all tables below `folder`, from the connection's snapshot; rows by table."""
    counts: dict[str, int] = {}
    for table in tables_of(connection):
        path = folder / f"{table.name}{SUFFIX}"
        with gzip.open(path, "wt", _LEVEL, encoding="utf-8") as output:
            counts[table.name] = 0
            rows = connection.execute(select(table).execution_options(yield_per=_READ))
            for row in rows.mappings():
                values = {name: _plain(value) for name, value in row.items()}
                output.write(json.dumps(values, ensure_ascii=False) + "\n")
                counts[table.name] += 1
    return counts


def load(connection: Connection, folder: Path) -> dict[str, int]:
    """Fill the empty tables of a database from `dump`'s files; rows by table.

    Raises BlobError when a table of the files is not in the database, or is not empty.
    """
    counts: dict[str, int] = {}
    tables = {table.name: table for table in tables_of(connection)}
    names = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")}
    if unknown := sorted(names - set(tables)):
        raise BlobError(f"{folder} holds tables of another schema: {', '.join(unknown)}")
    for name, table in tables.items():
        if name == VERSION_TABLE or name not in names:
            continue
        if connection.execute(select(func.count()).select_from(table)).scalar():
            raise BlobError(f"the table {name} is not empty; restore into an empty database")
        counts[name] = _fill(connection, table, rows_of(folder, name))
        _advance(connection, table)
    return counts


def counts_of(connection: Connection) -> dict[str, int]:
    """Rows by table."""
    return {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)
        for table in tables_of(connection)
    }


def tables_of(connection: Connection) -> list[Table]:
    """All tables as the database describes them, each after those that it refers to.

    They are made anew each time, so what the connection executes from here on is compiled for once:
    kept for the next time, it would only drive out statements that do come again.
    """
    connection.execution_options(compiled_cache=None)
    metadata = MetaData()
    metadata.reflect(bind=connection)
    return list(metadata.sorted_tables)


def _fill(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    done = 0
    portion: list[dict[str, Any]] = []
    # A change may name a later one that it takes back: rows that refer to their own table last.
    own = [c.name for c in table.columns if any(k.column.table is table for k in c.foreign_keys)]
    later: list[dict[str, Any]] = []
    for row in rows:
        values = {name: _typed(table.columns[name], value) for name, value in row.items()}
        if any(values.get(name) is not None for name in own):
            later.append(values)
            continue
        portion.append(values)
        if len(portion) == _PORTION:
            connection.execute(insert(table), portion)
            done, portion = done + len(portion), []
    for last in (portion, later):
        if last:
            connection.execute(insert(table), last)
            done += len(last)
    return done


def rows_of(folder: Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of one table in `dump`'s form: times as `{"time": ...}`. None for one that is not
    there."""
    path = folder / f"{table}{SUFFIX}"
    if not path.exists():
        return
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _advance(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows by a sequence, which must stand behind the loaded ones."""
    if connection.dialect.name != "postgresql":
        return
    keys = [c for c in table.primary_key.columns if isinstance(c.type, Integer)]
    if len(keys) != 1 or len(table.primary_key.columns) != 1:
        return
    sequence = connection.execute(
        text("SELECT pg_get_serial_sequence(:name, :column)"),
        {"name": f'"{table.name}"', "column": keys[0].name},
    ).scalar()
    last = connection.execute(select(func.max(keys[0]))).scalar()
    if sequence is not None and last is not None:
        connection.execute(
            text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last}
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return {"time": value.isoformat()}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    return {"json": value} if isinstance(value, (dict, list)) else value


def _typed(column: Any, value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, inner),) = value.items()
        if kind == "time":
            return dt.datetime.fromisoformat(inner)
        return base64.b64decode(inner) if kind == "bytes" else inner
    return bool(value) if column.type.python_type is bool and value is not None else value
