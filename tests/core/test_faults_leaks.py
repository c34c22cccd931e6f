"""FAULTS, group O, as far as it is the core's: no value, error or key of ours shows a secret or a token."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import attrs
import cattrs
import pytest

from client_credentials import AccessToken, ClientAuthentication, RenewalPolicy, SdkConfiguration, TokenError
from client_credentials._core.client import make_client
from client_credentials._core.entry import dump, load
from client_credentials._core.lifecycle import hold
from client_credentials._core.model import CacheEntry, Failure, Malformed, Refused, Unreachable
from client_credentials._core.refusal import redacted_failure
from client_credentials._core.request import cache_key, token_request
from client_credentials._core.response import parse_document, status_failure
from client_credentials._core.secret import Secret
from client_credentials._core.state import Asked, Instant, State
from client_credentials._shell.request import Attempted, read_secret
from client_credentials.errors import error_of, failure_of
from tests.core.kit import answer, hidden, make

SECRET: Final = 'c4nary "pä55/wrd+%\\'
TOKEN: Final = "c4nary-t0ken.of_69+bits/="
NOW: Final = Instant(wall=1e9, monotonic=5.0)


def forms(secret: str) -> list[str]:
    """The forms in which a secret would be recognised."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return [secret, quote(secret, safe=""), quote_plus(secret), encoded, json.dumps(secret)[1:-1]]


def shows(text: str, *secrets: str) -> list[str]:
    """The forms of these secrets that a text shows."""
    return [form for secret in secrets for form in forms(secret) if form in text]


def told(error: BaseException) -> str:
    """All that a traceback tells of an error, the locals of its frames included, but for those of this file."""
    shown = traceback.TracebackException(type(error), error, error.__traceback__, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    shown.stack = traceback.StackSummary.from_list(frames)
    return "".join(shown.format())


def echoes(secret: str) -> Iterator[Failure]:
    """Failures in which a server repeats a secret in every form and in every place."""
    for form in forms(secret):
        said = {"error": form, "error_description": f"bad: {form}", "error_uri": f"https://x/?{form}"}
        refusal = status_failure(answer(said, 400, WWW_Authenticate=f"Basic {form}"))
        assert refusal is not None
        redirect = status_failure(answer(b"", 302, Location=f"https://{form}/"))
        assert redirect is not None
        yield from (refusal, redirect, Malformed(status=None, reason=form), Unreachable(reason=form))


@pytest.mark.parametrize("way", ClientAuthentication)
def test_o1_to_o5(way: ClientAuthentication) -> None:
    """O1-O5: a request shows neither secret nor credential, however it is looked at but for its own fields."""
    client = make(authentication=way, has_secret=way is not ClientAuthentication.TLS)
    request = token_request(client, SECRET, 1.0)
    seen = f"{request} {request!r} {[request]}" + json.dumps([request], default=str)
    assert [] == shows(seen, SECRET, f"my-client:{SECRET}")


@pytest.mark.parametrize("secret", [SECRET, TOKEN, "x" * 300, "aaaaaaaa"])
def test_o6(secret: str) -> None:
    """O6: no error holds it in its text, arguments, notes, cause, context or traceback, whoever repeats it."""
    for failure in echoes(secret):
        error = error_of(redacted_failure(failure, hidden(secret)))
        seen = f"{error} {error!r} {error.args} {vars(error)} {told(error)}"
        assert [] == shows(seen, secret)
        assert (None, None) == (error.__cause__, error.__context__)


def test_o6_a_token_that_is_refused() -> None:
    """O6: a token beside an error is not repeated, though the server repeats it in what it says."""
    said = {"error": TOKEN, "error_description": TOKEN, "error_uri": TOKEN, "access_token": TOKEN}
    for outcome in (parse_document(answer(said), said), status_failure(answer(said, 500, WWW_Authenticate=TOKEN))):
        assert isinstance(outcome, Refused)
        assert [] == shows(f"{outcome} {error_of(outcome)}", TOKEN)


def test_o6_a_secret_that_cannot_be_sent() -> None:
    """O6: a secret with the end of a line, the commonest mistake, is refused without being shown."""

    class Vault(TokenError):
        """A user's own, raised by the callable that reads the secret."""

    def locked() -> str:
        raise Vault(f"no {SECRET}")

    for source in (Secret(lambda: SECRET + "\n"), Secret(locked), Secret(lambda: "")):
        attempted = read_secret(source)
        assert isinstance(attempted, Attempted)
        assert [] == shows(f"{attempted} {attempted.outcome} {attempted.cause}", SECRET)


def test_o8() -> None:
    """O8: cattrs' errors quote what they refuse, so none of them comes out of a cache's text."""
    held = hold(AccessToken(TOKEN, "Bearer", 60, 1), Asked.here(NOW), RenewalPolicy(), 0.5)
    entry = dump(State(held=held), "my-key", NOW, RenewalPolicy())
    assert entry is not None
    broken = entry.value.replace('"expires_in": 60', '"expires_in": "60"')
    assert broken != entry.value
    assert None is load(CacheEntry(broken, 60.0), "my-key", NOW, RenewalPolicy(), 0.5)


def test_o11() -> None:
    """O11: no warning is given at all, so none shows anything."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        for failure in echoes(SECRET):
            failure_of(error_of(redacted_failure(failure, hidden(SECRET))))
        token_request(make(), SECRET, 1.0)
    assert [] == given


@pytest.mark.parametrize(
    "url",
    [
        f"https://my-client:{quote(SECRET)}@issuer.example/token",
        f"https://issuer.example/token?client_secret={quote(SECRET)}",
        f"https://issuer.example/token?a=b&client%5Fsecret={quote(SECRET)}",
        f"https://issuer.example:{quote(SECRET)}/",
        f"https://[{quote(SECRET)}]/",
    ],
)
def test_o13(url: str) -> None:
    """O13: a URL that holds a credential is refused when it is set, and not quoted."""
    with pytest.raises(ValueError, match=r"^token_url must ") as caught:
        make(token_url=url)
    error = caught.value
    assert [] == shows(f"{error} {error.__cause__} {error.__context__}", SECRET)


def test_o18() -> None:
    """O18, M24: a cache key shows neither id nor secret nor anything that was asked for."""
    client = make(client_id="c4nary-id", scopes=["c4nary-scope"], audience="c4nary-audience")
    assert "c4nary" not in cache_key(client, SECRET)


def test_o19() -> None:
    """O19: no cache of ours keeps a secret or a token: what is memoised takes no argument, or classes alone."""
    modules = [module for name, module in sys.modules.items() if name.startswith("client_credentials")]
    everything: list[Any] = [it for module in modules for it in vars(module).values() if hasattr(it, "cache_info")]
    memoised = [it for it in everything if it.__module__.startswith("client_credentials")]
    assert memoised
    kinds = {each.annotation for it in memoised for each in inspect.signature(it.__wrapped__).parameters.values()}
    assert kinds <= {"type", "tuple[type, ...]"}


def test_o21() -> None:
    """O21: the key is no digest of the secret alone: the same secret has another digest for another client."""
    digests = {
        hashlib.new(name, SECRET.encode()).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")
    }
    keys = {cache_key(make(client_id=name), SECRET).rpartition("-")[2] for name in ("a", "b")}
    assert (2, set()) == (len(keys), keys & digests)


def test_m20() -> None:
    """M20: scopes, colons and words that only look alike make different keys."""
    clients = [
        make(scopes=["a", "b"]),
        make(scopes=["a,b"]),
        make(audience="a b"),
        make(client_id="a:b"),
        make(client_id="a"),
        make(extra_params={"a": "b"}),
        make(extra_params={"a": "b", "c": "d"}),
        make(extra_params={"a": "b&c=d"}),
        make(resources=["urn:a", "urn:b"]),
        make(resources=["urn:a,urn:b"]),
        make(token_url="https://other.example/token"),
        make(authentication=ClientAuthentication.POST),
        make(),
    ]
    keys = {cache_key(client, secret) for client in clients for secret in ("b", "c")}
    assert 2 * len(clients) == len(keys)


def test_m21_m22() -> None:
    """M21, M22: the same identity has the same key; another secret has another."""
    one = make(scopes=["b", "a"], resources=["urn:b", "urn:a"])
    assert cache_key(one, SECRET) == cache_key(make(scopes={"a", "b"}, resources=["urn:a", "urn:b"]), SECRET)
    assert cache_key(one, SECRET) != cache_key(one, SECRET + "x")


def test_o2_o3() -> None:
    """O2, O3: what helpers make of a client, its secret's wrapper and a configuration shows no secret."""

    @attrs.frozen
    class Everything:
        """What a strategy is made of."""

        client: object
        secret: Secret
        configuration: SdkConfiguration

    all_of_it = Everything(make(extra_params={"k": "v"}), Secret(SECRET), SdkConfiguration())
    views: list[Any] = [attrs.asdict(all_of_it), attrs.astuple(all_of_it), attrs.evolve(all_of_it)]
    views += [cattrs.unstructure(all_of_it.secret), attrs.fields(Everything), json.dumps(all_of_it, default=str)]
    assert [] == shows(repr(views), SECRET)


def test_what_is_not_a_secret_stays() -> None:
    """O6: an error of the server's that has nothing of ours in it is told as it is."""
    refusal = status_failure(answer({"error": "invalid_client", "error_description": "Failed to get client"}, 400))
    assert isinstance(refusal, Refused)
    assert refusal == redacted_failure(refusal, hidden(SECRET))


def test_make_client_is_what_kit_makes() -> None:
    """O1: a client shows who it is, and nothing that it was given besides."""
    client = make_client(
        "my-client",
        token_url="https://issuer.example/token",
        scopes=["a"],
        audience=None,
        resources=[],
        extra_params={"password": "c4nary"},
        authentication=ClientAuthentication.BASIC,
    )
    assert "c4nary" not in repr(client)
    assert "my-client" in repr(client)
