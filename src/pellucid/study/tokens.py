"""Signed tokens: private keys of participants, forms that only their page can send, sessions of the researcher."""

import hashlib
import hmac
import secrets

from itsdangerous import BadSignature, Signer, TimestampSigner
from itsdangerous.signer import HMACAlgorithm

__all__ = ["Tokens", "password_hash", "password_matches"]

NONCE = 18
"""Random bytes of a key, and bytes of a signature: 144 bit, or 24 characters."""
SESSION_SECONDS = 8 * 3600


class _Short(HMACAlgorithm):
    """HMAC with SHA-256, cut to 24 characters, so that a private link stays short enough to be copied."""

    def __init__(self) -> None:
        super().__init__(hashlib.sha256)

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:NONCE]


class Tokens:
    """Everything that is signed with a study's secret.

    >>> tokens = Tokens(b"secret")
    >>> tokens.is_key(tokens.new_key()), tokens.is_key("x" * 48)
    (True, False)
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._signer = Signer(secret, key_derivation="none", algorithm=_Short())

    def sign(self, purpose: str, text: str) -> str:
        """24 characters that only this secret makes from a purpose and a text."""
        return self._signer.get_signature(f"{purpose}\0{text}").decode()

    def matches(self, purpose: str, text: str, given: str) -> bool:
        """Whether ``given`` is the signature; takes equally long for every wrong one."""
        return self._signer.verify_signature(f"{purpose}\0{text}", given)

    def new_key(self) -> str:
        """A participant's private key. It is signed, so that made-up ones never reach the database."""
        nonce = secrets.token_urlsafe(NONCE)
        return nonce + self.sign("key", nonce)

    def is_key(self, given: str | None) -> bool:
        """Whether this study made the key."""
        return given is not None and len(given) == 48 and self.matches("key", given[:24], given[24:])

    def new_browser(self) -> str:
        """What a browser keeps in which the researcher's password was right, or a link of the server was opened."""
        nonce = secrets.token_urlsafe(NONCE)
        return nonce + self.sign("browser", nonce)

    def is_browser(self, given: str | None) -> bool:
        """Whether this study gave it to a browser."""
        return given is not None and len(given) == 48 and self.matches("browser", given[:24], given[24:])

    def session(self, password: str) -> str:
        """A new session of the researcher; it ends after some hours, or when the password changes."""
        return self._sessions(password).sign(f"researcher {secrets.token_urlsafe(NONCE)}").decode()

    def is_session(self, given: str | None, password: str) -> bool:
        """Whether it is a session that has not ended."""
        try:
            self._sessions(password).unsign(given or "", max_age=SESSION_SECONDS)
        except BadSignature:
            return False
        return True

    def _sessions(self, password: str) -> TimestampSigner:
        return TimestampSigner(self._secret, salt=f"session {password}", digest_method=hashlib.sha256)


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
