"""The table as a Parquet file, through DuckDB: written whole, asked without a way out of it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from modelglot.core.errors import (
    CannotOpenError,
    InvalidFileError,
    MissingExtraError,
    TargetExistsError,
    UnsafeContentError,
    UnsupportedError,
)
from modelglot.features.catalog.row import COLUMNS, is_text
from modelglot.features.catalog.tree import MARK
from modelglot.sources.sink import replacing, writing

_KIND, _FOLDERS, _MADE = "modelglot_catalog", "modelglot_folders", "modelglot_made"
_VERSION = "2"
_OBJECT = 16 << 20  # bytes of one JSON object that DuckDB takes unasked


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("catalogs need `duckdb`", hint="pip install 'modelglot[catalog]'") from None
    return duckdb


@contextmanager
def _connection(spill: str = "") -> Iterator[Any]:
    """In memory, without extensions from the network and without Python's variables as tables.

    ``spill`` is a folder for what memory does not hold; without one that is an error, and nothing is written.
    """
    duckdb = _duckdb()
    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
                "python_enable_replacements": "false", "temp_directory": spill}  # fmt: skip
    connection = duckdb.connect(":memory:", config=settings)
    try:
        yield connection
    finally:
        connection.close()


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _exact(path: str) -> str:
    """A path for DuckDB's readers, which take patterns: each of their signs stands for itself.

    Raises UnsupportedError for a path that is not UTF-8.
    """
    if not is_text(path):
        raise UnsupportedError("DuckDB takes no path that is not UTF-8", path=path)
    return _literal("".join(f"[{c}]" if c in "*?[" else c for c in os.path.abspath(path)))


@dataclass(frozen=True, slots=True)
class Kept:
    """What a catalog says of itself: the marks of folders that were looked at, and which version made it."""

    folders: frozenset[bytes] = frozenset()
    made: str = ""


class Old:
    """The catalog of the last time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kept = _kept(path)

    def rows(self, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        with _connection() as connection:
            cursor = connection.execute(f"SELECT {', '.join(columns)} FROM read_parquet({_exact(self.path)})")
            while some := cursor.fetchmany(10_000):
                yield from some


class _OtherVersion(InvalidFileError):
    """Ours, with other columns: it is replaced by a build, and nothing of it is kept."""


def _kept(path: str) -> Kept:
    """Raises CannotOpenError, and InvalidFileError for what is no catalog."""
    if not os.path.isfile(path):
        raise CannotOpenError("no such catalog", path=path, hint="`modelglot catalog build FOLDER -o FILE` makes one")
    with _connection() as connection:
        try:
            query = f"SELECT key, value FROM parquet_kv_metadata({_exact(path)})"
            found = {bytes(k).decode("utf-8", "replace"): bytes(v) for k, v in connection.execute(query).fetchall()}
        except _duckdb().Error as error:
            raise InvalidFileError(f"this is no catalog: {_first(error)}", path=path) from None
    if _KIND not in found:
        raise InvalidFileError("this Parquet file is no catalog", path=path)
    if found[_KIND] != _VERSION.encode():
        raise _OtherVersion("this catalog was made by another version", path=path, hint="build it anew")
    raw = base64.b64decode(found.get(_FOLDERS, b""))
    marks = frozenset(raw[at : at + MARK] for at in range(0, len(raw), MARK))
    return Kept(marks, found.get(_MADE, b"").decode("utf-8", "replace"))


def check_target(path: str, *, force: bool) -> Old | None:
    """The catalog that is to be replaced. Raises TargetExistsError where something else is there."""
    _duckdb()
    _exact(path)
    if not os.path.lexists(path):
        return None
    try:
        return Old(path)
    except _OtherVersion:
        return None
    except (InvalidFileError, CannotOpenError) as error:
        if force and os.path.isfile(path):
            return None
        raise TargetExistsError(
            "exists already and is no catalog", path=path, detail=error.what, hint="`--force` replaces a file"
        ) from None


@dataclass(slots=True)
class Rows:
    """JSON lines on their way into the table."""

    path: str
    count: int = 0
    longest: int = 0
    _file: IO[str] | None = field(default=None, repr=False)

    def add(self, row: dict[str, Any]) -> None:
        with writing(self.path):
            if self._file is None:
                self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115  # until `close`
            line = json.dumps(row)
            self._file.write(line + "\n")
        self.count += 1
        self.longest = max(self.longest, len(line))

    def table(self, columns: dict[str, str]) -> str:
        """The lines as a table of SQL; one that is empty where there are none."""
        if self._file is None:
            nothing = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
            return f"(SELECT {nothing} WHERE false)"
        with writing(self.path):
            self._file.flush()
        types = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in columns.items())
        most = max(_OBJECT, self.longest + 16)
        return (
            f"read_json({_exact(self.path)}, format='newline_delimited', columns={{{types}}}, "
            f"maximum_object_size={most})"
        )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


# A file belongs to one model: of those that have it, to the one with most files, and not to a row that only says that
# something could not be read. Rows that have no file left are shards and parts that were met before their index.
_OWNED = """
WITH parts AS (
    SELECT path, error IS NOT NULL AS broken, len(files) AS many,
           unnest([folder || '/' || f.name for f in files if f."role" = 'weights']) AS part
    FROM found),
owners AS (
    SELECT path FROM parts QUALIFY row_number() OVER (PARTITION BY part ORDER BY broken, many DESC, path) = 1)
SELECT * FROM found WHERE path IN (SELECT path FROM owners)
    OR len([f for f in files if f."role" = 'weights']) = 0
"""


def write(path: str, old: Old | None, kept: Rows, new: Rows, folders: Iterable[bytes], made: str) -> None:
    """The rows of ``old`` whose ``path`` is in ``kept``, and the new ones, by path; replaces the file in one rename."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    source = f"SELECT {names} FROM {new.table(COLUMNS)}"
    if old is not None:
        source += (
            f" UNION ALL SELECT {names} FROM read_parquet({_exact(old.path)})"
            f" WHERE path IN (SELECT path FROM {kept.table({'path': 'VARCHAR'})})"
            f" AND path NOT IN (SELECT path FROM {new.table({'path': 'VARCHAR'})})"
        )
    about = {_KIND: _VERSION, _MADE: made, _FOLDERS: base64.b64encode(b"".join(sorted(folders))).decode()}
    pairs = ", ".join(f"{key}: {_literal(value)}" for key, value in about.items())
    with _connection(os.path.dirname(new.path)) as connection, replacing(path, force=True) as place:
        connection.execute(f"CREATE TEMP TABLE found AS {source}")
        connection.execute(
            f"COPY ({_OWNED} ORDER BY path) TO {_literal(os.path.abspath(place))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{pairs}}})"
        )


def counts(path: str) -> tuple[int, int, int, int, int]:
    """Models, those that could not be read, unsafe ones, unknown ones, bytes of all their files."""
    verdicts = [f"count(*) FILTER (verdict = '{verdict}')" for verdict in ("unsafe", "unknown")]
    ((models, errors, unsafe, unknown, nbytes),) = Old(path).rows(
        ("count(*)", "count(error)", *verdicts, "coalesce(sum(bytes), 0)::BIGINT")
    )
    return models, errors, unsafe, unknown, nbytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Names of columns, and rows of plain Python values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def query(path: str, sql: str, parameters: Iterable[Any] = ()) -> Answer:
    """One SELECT over the table ``catalog``. It reads nothing else: no file, no network, no setting, no variable.

    Raises CannotOpenError and InvalidFileError for the catalog, UnsafeContentError for a statement that is no SELECT or
    reaches for a file, UnsupportedError for SQL that does not run.
    """
    duckdb = _duckdb()
    _kept(path)
    if not is_text(sql):
        raise UnsupportedError("the query is not UTF-8")
    with _connection() as connection:
        hidden = "stamp, weights_stamp"
        select = f"SELECT * EXCLUDE ({hidden}) FROM read_parquet({_exact(path)})"
        connection.execute(f"CREATE TABLE catalog AS {select}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UnsafeContentError(
                    "a query is one SELECT", hint="take what it prints (`--json`) for everything that writes"
                )
            cursor = connection.execute(statements[0], list(parameters))
            return Answer(tuple(d[0] for d in cursor.description), tuple(cursor.fetchall()))
        except duckdb.PermissionException as error:
            raise UnsafeContentError(
                f"the query reaches out of the catalog: {_first(error)}", hint="it may only read `catalog`"
            ) from None
        except duckdb.Error as error:
            raise UnsupportedError(
                f"the query does not run: {_first(error)}",
                hint="`describe catalog` lists the columns; docs/guides/registry.md has examples",
            ) from None


def _first(error: Exception) -> str:
    """The first line of DuckDB's message."""
    return str(error).strip().split("\n")[0][:300]
