"""Signed tokens: private keys of participants, forms that only their page can send, sessions of the researcher."""

import base64
import hashlib
import hmac
import secrets
import time

__all__ = ["Tokens", "password_hash", "password_matches"]

NONCE = 18
"""Random bytes of a key: 144 bit."""
SESSION_SECONDS = 8 * 3600


class Tokens:
    """Everything that is signed with a study's secret.

    >>> tokens = Tokens(b"secret")
    >>> tokens.is_key(tokens.new_key()), tokens.is_key("x" * 48)
    (True, False)
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, purpose: str, text: str) -> str:
        """24 characters that only this secret makes from a purpose and a text."""
        digest = hmac.new(self._secret, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:NONCE]).decode()

    def matches(self, purpose: str, text: str, given: str) -> bool:
        """Whether ``given`` is the signature; takes equally long for every wrong one."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), given.encode("utf-8", "replace"))

    def new_key(self) -> str:
        """A participant's private key. It is signed, so that made-up ones never reach the database."""
        nonce = secrets.token_urlsafe(NONCE)
        return nonce + self.sign("key", nonce)

    def is_key(self, given: str | None) -> bool:
        """Whether this study made the key."""
        return given is not None and len(given) == 48 and self.matches("key", given[:24], given[24:])

    def session(self, password: str) -> str:
        """A researcher's session; it ends after some hours, or when the password changes."""
        ends = str(int(time.time()) + SESSION_SECONDS)
        return f"{ends}.{self.sign('session', ends + password)}"

    def is_session(self, given: str | None, password: str) -> bool:
        """Whether it is a session that has not ended."""
        ends, _, signature = (given or "").partition(".")
        return (
            ends.isascii()
            and ends.isdigit()
            and self.matches("session", ends + password, signature)
            and int(ends) > time.time()
        )


def password_hash(password: str) -> str:
    """Salted scrypt hash of a password."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{_scrypt(password, salt)}"


def password_matches(password: str, stored: str) -> bool:
    """Whether a password has this hash."""
    salt, _, digest = stored.partition(":")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), digest)


def _scrypt(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=2**14, r=8, p=1).hex()
