"""The settings of one study beside its answers: its state, its secret, its design, the researcher's sessions."""

import hashlib
import secrets
import time

import sqlalchemy as sa

from pellucid.core.errors import InputError
from pellucid.study.database import Database
from pellucid.study.tables import PARTICIPANTS, SETTINGS

__all__ = ["Settings", "get_setting", "hashed", "set_setting"]

ENDED = "ended "
"""Beginning of the names of settings that say which of the researcher's sessions are over."""


def hashed(key: str) -> str:
    """What is stored of a private key."""
    return hashlib.sha256(key.encode()).hexdigest()


class Settings(Database):
    """The settings of one study. Methods may be called from any thread."""

    def setting(self, name: str) -> str | None:
        """A stored setting, or None."""
        with self.reading() as connection:
            return get_setting(connection, name)

    def set(self, name: str, value: str) -> None:
        """Store a setting."""
        with self.writing() as connection:
            set_setting(connection, name, value)

    def once(self, name: str, value: str) -> str:
        """The stored setting; ``value`` is stored where there was none."""
        with self.writing() as connection:
            self.lock(connection)
            there = get_setting(connection, name)
            if there is None:
                set_setting(connection, name, value)
            return there or value

    def bind(self, registration: str) -> None:
        """Tie the answers to a design.

        Args:
            registration: hash of the design and its pictures.

        Raises:
            InputError: people have answered another design.
        """
        with self.writing() as connection:
            before = get_setting(connection, "design")
            count = connection.scalar(sa.select(sa.func.count()).select_from(PARTICIPANTS))
            if before not in (None, registration) and count:
                raise InputError(
                    f"the study was changed after {count} participants began; restore study.yaml and manifest.csv, or "
                    "use a new folder"
                )
            set_setting(connection, "design", registration)

    @property
    def secret(self) -> bytes:
        """Key of every signature, made once."""
        return bytes.fromhex(self.once("secret", secrets.token_hex(32)))

    # Sessions of the researcher

    def end_session(self, session: str, *, lasting: float) -> None:
        """Note that a session is over, so that nobody goes on with a copy of it.

        Args:
            session: what the researcher's browser keeps.
            lasting: seconds after which no session is accepted anyway, and its note is deleted.
        """
        ended_at = time.time()
        with self.writing() as connection:
            noted = sa.select(SETTINGS.c.name, SETTINGS.c.value).where(SETTINGS.c.name.startswith(ENDED))
            for name, value in connection.execute(noted).all():
                if float(value) < ended_at - lasting:
                    connection.execute(sa.delete(SETTINGS).where(SETTINGS.c.name == name))
            set_setting(connection, _ended(session), str(ended_at))

    def is_ended(self, session: str) -> bool:
        """Whether the researcher has logged out of the session."""
        return self.setting(_ended(session)) is not None


def _ended(session: str) -> str:
    return f"{ENDED}{hashed(session)[:32]}"


def get_setting(connection: sa.Connection, name: str) -> str | None:
    """A stored setting, or None."""
    value: str | None = connection.scalar(sa.select(SETTINGS.c.value).where(SETTINGS.c.name == name))
    return value


def set_setting(connection: sa.Connection, name: str, value: str) -> None:
    """Store a setting."""
    changed = connection.execute(sa.update(SETTINGS).where(SETTINGS.c.name == name).values(value=value)).rowcount
    if not changed:
        connection.execute(sa.insert(SETTINGS).values(name=name, value=value))
