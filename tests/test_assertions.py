"""Assertions in place of a secret (RFC 7523): read anew, signed anew, and never shown."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from client_credentials.assertions import AssertionFile, PrivateKeyJwt

AUDIENCE = "https://idp.example/token"


@cache
def pem(kind: str = "RSA") -> str:
    """Give a private key."""
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public(text: str) -> Any:
    """Give the public half of a key."""
    return serialization.load_pem_private_key(text.encode(), None).public_key()


def locals_of(error: BaseException) -> list[str]:
    """Give the locals of the module's own frames, as a traceback shows them."""
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    return [str(frame.locals) for frame in stack if Path(frame.filename).name == "assertions.py"]


def test_a_file_is_read_for_each_request(tmp_path: Path) -> None:
    """The platform renews the file; white space around the assertion does not count."""
    path = tmp_path / "token"
    read = AssertionFile(str(path))
    for text in ("first.a.b", "second.c.d"):
        path.write_text(f"\n{text} \n")
        assert text == read()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" \n", "is empty"),
        (b"x" * 65537, "is longer than 65536 bytes"),
        *((b"h" + odd, "is not one word of visible ASCII") for odd in (b"\xc3\xa4", b"\ni", b" i", b"\0")),
    ],
)
def test_an_unfit_file_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    """The error says which file and what is wrong with it, and no frame holds what is in it."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: the assertion in it {problem}$") as raised:
        AssertionFile(path)()
    shown = locals_of(raised.value)
    assert (2, []) == (len(shown), [each for each in shown if "xx" in each or "h\\xc3" in each or "h\xe4" in each])


def test_a_longest_file_is_read(tmp_path: Path) -> None:
    """64 KiB are a file yet."""
    (tmp_path / "token").write_bytes(b"x" * 65536)
    assert "x" * 65536 == AssertionFile(tmp_path / "token")()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error is the system's, which names the path."""
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        AssertionFile(tmp_path / "no-such-file")()


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("RSA", "PS256"), ("EC", "ES256")])
def test_an_assertion_says_what_the_rfc_asks(kind: str, algorithm: str) -> None:
    """RFC7523-3: iss and sub are the client, aud the server, exp and iat the time, jti is used once; signed."""
    sign = PrivateKeyJwt(
        pem(kind), client_id="my-client", audience=AUDIENCE, algorithm=algorithm, key_id="key-1", lifetime=30
    )
    first, second = (jwt.decode(sign(), public(pem(kind)), algorithms=[algorithm], audience=AUDIENCE) for _ in range(2))
    assert {"iss": "my-client", "sub": "my-client", "aud": AUDIENCE} == {
        name: first[name] for name in ("iss", "sub", "aud")
    }
    assert 30 == first["exp"] - first["iat"]
    assert abs(time.time() - first["iat"]) < 5
    assert first["jti"] != second["jti"]
    assert ("key-1", algorithm) == (jwt.get_unverified_header(sign())["kid"], jwt.get_unverified_header(sign())["alg"])


@pytest.mark.parametrize("kind", [str, Path])
def test_a_key_file_is_read_for_each_assertion(tmp_path: Path, kind: type[str | Path]) -> None:
    """A rotated key signs the next assertion; without a `key_id` there is no kid."""
    path = tmp_path / "key.pem"
    sign = PrivateKeyJwt(kind(path), client_id="my-client", audience=AUDIENCE, algorithm="RS256")
    with pytest.raises(FileNotFoundError):
        sign()
    path.write_text(pem())
    assert 60 == (claims := jwt.decode(sign(), public(pem()), ["RS256"], audience=AUDIENCE))["exp"] - claims["iat"]
    assert "kid" not in jwt.get_unverified_header(sign())
    path.write_text(pem("EC"))
    with pytest.raises(ValueError, match=r"^key must be a private key in PEM that fits RS256"):
        sign()


DER = base64.b64encode(bytes(range(256)) * 5).decode()


@pytest.mark.parametrize(
    "key",
    [DER, json.dumps({"kty": "RSA", "d": DER[:300]}), DER[:64] + "\n" + DER[64:128], f"{DER[:64]}\0", pem().encode()],
    ids=["DER", "JWK", "lines", "nul", "bytes"],
)
def test_a_key_in_another_form_is_no_path(key: Any) -> None:
    """A key that is no PEM text is refused at once; neither the error nor a frame shows it."""
    with pytest.raises(ValueError, match=r"^key must be PEM text or a path$") as raised:
        PrivateKeyJwt(key, client_id="my-client", audience=AUDIENCE, algorithm="RS256")
    assert (1, []) == (
        len(shown := locals_of(raised.value)),
        [each for each in shown if DER[:60] in each or "BEGIN" in each],
    )
    assert raised.value.__context__ is None


def test_a_short_key_that_passes_for_a_path_is_not_shown() -> None:
    """A name that was given as text may be a key: the system's error comes without it, and no frame has it."""
    sign = PrivateKeyJwt(DER[:184], client_id="my-client", audience=AUDIENCE, algorithm="ES256")
    with pytest.raises(FileNotFoundError, match="the file named by key") as raised:
        sign()
    assert DER[:20] not in "".join(traceback.format_exception(raised.value)) + str(locals_of(raised.value))
    assert raised.value.__context__ is None


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
def test_a_key_that_does_not_fit_is_found_out_at_once(algorithm: str) -> None:
    """An error of a key names the algorithm; neither it nor a frame shows the key."""
    with pytest.raises(ValueError, match=f"^key must be a private key in PEM that fits {algorithm}") as raised:
        PrivateKeyJwt(pem(), client_id="my-client", audience=AUDIENCE, algorithm=algorithm)
    line = pem().splitlines()[1]
    shown = locals_of(raised.value)
    assert (2, []) == (len(shown), [each for each in shown if line in each])
    assert (None, False) == (raised.value.__cause__, line in str(raised.value))


def test_a_key_file_is_ascii(tmp_path: Path) -> None:
    """PEM is text; the error names the file."""
    (tmp_path / "key.der").write_bytes(b"\x30\x82")
    sign = PrivateKeyJwt(tmp_path / "key.der", client_id="my-client", audience=AUDIENCE, algorithm="RS256")
    with pytest.raises(ValueError, match=r"key\.der: the key in it is not ASCII text$"):
        sign()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("key", "", "must be PEM text or a path"),
        ("key", None, "must be PEM text or a path"),
        ("key_id", 5, "must be a non-empty string, or None"),
        ("client_id", "", "must be a non-empty string"),
        ("audience", None, "must be a non-empty string"),
        ("algorithm", "", "must be a non-empty string"),
        ("algorithm", "RS999", "must be one that PyJWT knows, such as RS256"),
        *(
            ("lifetime", each, "must be more than 0 and at most 86400 seconds")
            for each in (0, "60", float("inf"), 1e300)
        ),
    ],
)
def test_a_bad_argument_is_named(name: str, value: Any, problem: str) -> None:
    """What can never work is found out when it is made."""
    fit: dict[str, Any] = {"key": pem(), "client_id": "my-client", "audience": AUDIENCE, "algorithm": "RS256"}
    with pytest.raises(ValueError, match=f"^{name} {problem}$"):
        PrivateKeyJwt(**{**fit, name: value})


class BytesPath:
    """A path of bytes."""

    def __fspath__(self) -> bytes:
        return b"/var/run/token"


@pytest.mark.parametrize("path", ["", None, b"/var/run/token", BytesPath(), "a\0b", "\ud800"])
def test_a_path_is_a_path(path: Any) -> None:
    """A variable of the environment that is not set is found out at once."""
    with pytest.raises(ValueError, match=r"^path must be a path$"):
        AssertionFile(path)


def test_nothing_is_shown() -> None:
    """Their reprs and attributes hold no key and no assertion."""
    sign = PrivateKeyJwt(pem(), client_id="my-client", audience=AUDIENCE, algorithm="RS256")
    assert "PrivateKeyJwt(client_id='my-client', algorithm='RS256')" == repr(sign)
    assert pem().splitlines()[1] not in str(vars(sign))
    assert "AssertionFile('/var/run/token')" == repr(AssertionFile("/var/run/token"))


def test_pyjwt_is_imported_by_the_constructor_alone() -> None:
    """AssertionFile needs no extra."""
    code = "import sys, client_credentials.assertions as a; a.AssertionFile('x'); sys.exit('jwt' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
