"""Assertions in place of a client secret (RFC 7523 section 2.2), for `client_authentication=ASSERTION`."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from pathlib import Path
from typing import Final, TypeGuard, cast

from ._core.secret import Secret
from ._core.value import repr_before_init

_LONGEST: Final = 65536
_LONGEST_PATH: Final = 1024
_LONGEST_LIFE: Final = 86400  # seconds


class AssertionFile:
    """The assertion in a file that the platform renews: the token of a Kubernetes service account, or of a CI job.

    Given as `client_secret`, it reads the file for each token request. Raises OSError if the file cannot be read, and
    ValueError if it is empty, longer than 64 KiB or not one word of visible ASCII; both name the path, neither shows
    what it holds. Raises ValueError if `path` is not a path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not _is_path(path):
            raise ValueError("path must be a path")
        self._path = Path(path)

    def __call__(self) -> str:
        """Read the assertion."""
        return _read(self._path, "assertion", is_word=True)

    @repr_before_init
    def __repr__(self) -> str:
        return f"AssertionFile({str(self._path)!r})"


class PrivateKeyJwt:
    """Signs a new assertion for each token request (RFC 7523 section 3; `private_key_jwt` in OpenID Connect).

    Given as `client_secret`. `key` is a private key as PEM text, or the path of a PEM file, which is read for each
    request, so that it may be rotated. `audience` is the URL of the token endpoint, or of the issuer where the server
    wants that. `algorithm` is the server's choice, such as "RS256", "PS256" or "ES256". `key_id` goes into the header
    `kid`, by which the server finds the public key. An assertion is good for `lifetime` seconds, at most a day, and
    used once.

    Needs the extra `jwt` (PyJWT with cryptography). Raises ValueError for a wrong argument, and for a key that is not a
    private key or does not fit the algorithm: at once if the key is text, at the request if it is a file. A file that
    cannot be read is an OSError at the request, which names the file only if `key` was a path object. No error shows
    the key.
    """

    def __init__(
        self,
        key: str | os.PathLike[str],
        *,
        client_id: str,
        audience: str,
        algorithm: str,
        key_id: str | None = None,
        lifetime: float = 60.0,
    ) -> None:
        is_text = isinstance(key, str) and "-----BEGIN" in key
        source = Secret(str(key)) if is_text else _key_file(key)
        del key  # a traceback may show it
        if source is None:
            raise ValueError("key must be PEM text or a path")
        self._key = source
        import jwt.algorithms

        self._jwt = jwt
        for name, value in (("client_id", client_id), ("audience", audience), ("algorithm", algorithm)):
            if not (isinstance(value, str) and value):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ValueError(f"{name} must be a non-empty string")
        if algorithm not in jwt.algorithms.get_default_algorithms():
            raise ValueError("algorithm must be one that PyJWT knows, such as RS256")
        if not (key_id is None or (isinstance(key_id, str) and key_id)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError("key_id must be a non-empty string, or None")
        is_number = isinstance(lifetime, int | float)  # pyright: ignore[reportUnnecessaryIsInstance]
        if not (is_number and 0 < lifetime <= _LONGEST_LIFE):
            raise ValueError(f"lifetime must be more than 0 and at most {_LONGEST_LIFE} seconds")
        self._claims = {"iss": client_id, "sub": client_id, "aud": audience}
        self._algorithm = algorithm
        self._headers = None if key_id is None else {"kid": key_id}
        self._lifetime = lifetime
        if is_text:
            self()

    def __call__(self) -> str:
        """Sign an assertion."""
        now = time.time()
        claims = {**self._claims, "iat": int(now), "exp": int(now + self._lifetime), "jti": secrets.token_urlsafe(16)}
        key = self._key.reveal()
        try:
            return self._jwt.encode(claims, key, self._algorithm, self._headers)
        except Exception as error:  # PyJWT's, cryptography's; some quote what they were given
            kind = type(error).__name__
        finally:
            del key
        raise ValueError(f"key must be a private key in PEM that fits {self._algorithm} ({kind})")

    @repr_before_init
    def __repr__(self) -> str:
        return f"PrivateKeyJwt(client_id={self._claims['sub']!r}, algorithm={self._algorithm!r})"


def _is_path(path: object) -> TypeGuard[str | os.PathLike[str]]:
    if not isinstance(path, str | os.PathLike):
        return False
    name = cast("object", os.fspath(path))
    try:
        return isinstance(name, str) and bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _key_file(key: object) -> Secret | None:
    """Return the key in a file; None if `key` is not a path, or looks like a key that is not PEM."""
    if not _is_path(key):
        return None
    if not isinstance(key, str):
        return Secret(partial(_read, Path(key), "key"))
    is_key = len(key) > _LONGEST_PATH or key.startswith("{") or "\n" in key or "\r" in key
    return None if is_key else Secret(partial(_read_unnamed, Path(key)))


def _read_unnamed(path: Path) -> str:
    """Read a key; raises OSError without the path, which may be a key."""
    try:
        return _read(path, "key")
    except OSError as error:
        number, reason = error.errno, error.strerror
    del path  # a traceback may show it
    raise OSError(number, f"{reason}: the file named by key (a key itself must be PEM text)")


def _read(path: Path, what: str, *, is_word: bool = False) -> str:
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    text = content.decode("utf-8", "replace").strip()
    if not text:
        problem = "is empty"
    elif len(content) > _LONGEST:
        problem = f"is longer than {_LONGEST} bytes"
    elif not text.isascii() or (is_word and not (text.isprintable() and " " not in text)):
        problem = "is not one word of visible ASCII" if is_word else "is not ASCII text"
    else:
        return text
    del content, text  # a traceback may show them
    raise ValueError(f"{path}: the {what} in it {problem}")
