"""The database of one study: SQLite beside it or PostgreSQL, its transactions, its copy, its one server."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self

import filelock
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from pellucid.core.errors import InputError
from pellucid.core.files import whole_file
from pellucid.study.durable import SharedSync
from pellucid.study.tables import migrate

__all__ = ["Database", "Unavailable"]

BUSY_SECONDS = 10
"""How long a statement waits for another process that writes."""
ENROLMENT = 7_061_991
"""Key of PostgreSQL's advisory lock under which slots are given out."""
SERVING = 7_061_992
"""Key of PostgreSQL's advisory lock that the server of a study holds."""


class Unavailable(Exception):
    """The database did not answer: locked, full or away. Nothing was stored."""


class Database:
    """The database of one study. Methods may be called from any thread.

    Args:
        url: SQLAlchemy's, such as ``sqlite:////path/answers.sqlite`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        InputError: a URL of another database, or one that cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url.replace("postgresql://", "postgresql+psycopg://", 1))
        except sa.exc.ArgumentError:
            raise InputError("a database is given as sqlite:///FILE or postgresql://USER@HOST/NAME") from None
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise InputError(f"a database is sqlite:///FILE or postgresql://..., got {parsed.get_backend_name()}")
        if not parsed.database or parsed.database == ":memory:":
            raise InputError(f"a database has a name, such as sqlite:///answers.sqlite, got {url!r}")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.address = parsed.render_as_string(hide_password=True)
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}} if self.is_sqlite else {"pool_pre_ping": True}
        )
        self.engine = sa.create_engine(parsed, pool_size=16, max_overflow=32, **options)
        # SQLite lets one connection write at a time; those of this process queue here instead of polling the file.
        self._writers: Any = threading.Lock() if self.is_sqlite else nullcontext()
        self._log = SharedSync(Path(f"{parsed.database}-wal")) if self.is_sqlite else None
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare)
            sa.event.listen(self.engine, "begin", _begin)

    @classmethod
    def open(cls, folder: str | Path, url: str | None = None, *, create: bool = True) -> Self:
        """The database of a study folder; tables that are missing are made, also beside those of an older pellucid.

        Args:
            folder: the study.
            url: another place than ``answers.sqlite`` in the folder.
            create: make it where there is none.

        Raises:
            InputError: it cannot be opened, or there is none.
        """
        file = Path(folder).absolute() / "answers.sqlite"
        if url is None and not create and not file.exists():
            raise InputError(
                f"there is no {file}; nobody has taken part yet, or the answers are elsewhere: --database URL"
            )
        store = cls(url or f"sqlite:///{file}")
        there = str(store.engine.url.database)
        if store.is_sqlite and not create and not os.path.exists(there):
            store.close()
            raise InputError(f"there is no database {there}; give the one of the study with --database")
        if store.is_sqlite:
            with suppress(OSError):  # who may not create it is told below
                os.close(os.open(str(store.engine.url.database), os.O_CREAT, 0o600))  # other users read no answers
        try:
            with store.writing() as connection:
                store.lock(connection)
                migrate(connection)
        except Unavailable as error:
            store.close()
            raise InputError(f"the database {store.address} cannot be opened: {error}") from None
        return store

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that writes: all of it is on disk when the block ends, or nothing."""
        try:
            with (
                self._writers,
                self.engine.connect().execution_options(immediate=True) as connection,
                connection.begin(),
            ):
                yield connection
            if self._log is not None:
                self._log.wait()
        except IntegrityError:
            raise
        except (DBAPIError, sa.exc.TimeoutError, OSError) as error:
            raise Unavailable(_reason(error)) from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads."""
        try:
            with self.engine.connect() as connection, connection.begin():
                yield connection
        except (DBAPIError, sa.exc.TimeoutError) as error:
            raise Unavailable(_reason(error)) from error

    @contextmanager
    def only_server(self) -> Iterator[None]:
        """While it lasts, this process is the one that serves the study.

        A second server would count the attempts of a client anew, and go on answering where the first one pauses.

        Raises:
            InputError: another one does.
        """
        taken = InputError(
            f"the answers in {self.address} are already served by another `pellucid study serve`; stop it first, as a "
            "study has one server"
        )
        with ExitStack() as held:
            if self.is_sqlite:
                lock = filelock.FileLock(f"{self.engine.url.database}.serving", timeout=0, mode=0o600)
                try:
                    held.enter_context(lock)
                except filelock.Timeout:
                    raise taken from None
            else:
                connection = held.enter_context(self.engine.connect())
                if not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": SERVING}):
                    raise taken
                connection.commit()  # the lock is the session's, and no transaction stays open
                held.callback(_unlocked, connection)
            yield

    def backup(self, path: str | Path) -> Path:
        """Copy every stored answer into one file, also while the study is served.

        A plain copy of a database in use lacks the answers that still stand in its log; this one is SQLite's own. It
        appears whole or not at all, and is checked before it does.

        Args:
            path: of the file to write, for example to be served again as ``--database sqlite:///FILE``.

        Returns:
            ``path``.

        Raises:
            InputError: a file that exists, answers in PostgreSQL, or a database that does not answer.
        """
        path = Path(path)
        if not self.is_sqlite:
            raise InputError(
                f"the answers lie in {self.address}; copy that database with PostgreSQL's own program, "
                "pg_dump --format=custom --file=FILE NAME, and restore it with pg_restore"
            )
        if path.exists():
            raise InputError(f"{path} exists already; name a new file")
        try:
            with (
                whole_file(path) as temporary,
                closing(sqlite3.connect(str(self.engine.url.database), timeout=BUSY_SECONDS)) as answers,
                closing(sqlite3.connect(temporary)) as copy,
            ):
                answers.backup(copy)
                found = copy.execute("PRAGMA integrity_check").fetchone()[0]
                if found != "ok":
                    raise InputError(f"the copy of {self.address} is damaged ({found}); nothing was written")
                copy.execute("PRAGMA journal_mode=DELETE").close()  # one file, without a log beside it
        except sqlite3.Error as error:
            raise InputError(f"the database {self.address} cannot be copied: {_reason(error)}") from None
        path.chmod(0o600)  # other users read no answers
        return path

    def lock(self, connection: sa.Connection) -> None:
        """One at a time from here to the end of the transaction; SQLite's writers are so from its beginning."""
        if not self.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": ENROLMENT})


def _unlocked(connection: sa.Connection) -> None:
    """Give the server's lock back: the pool keeps the session, which would hold it. A session that is gone has none."""
    with suppress(DBAPIError):
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": SERVING})
        connection.commit()


def _prepare(connection: Any, record: Any) -> None:
    """A new connection to SQLite: its transactions are begun by `_begin`, and brought to disk by `SharedSync`."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())
