"""FAULTS, group O: the ways in which a secret or a token gets out, each tried on purpose."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import pickle
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import md5, sha1, sha256, sha512
from pathlib import Path
from typing import Any

import attrs
import pytest
import urllib3

from client_credentials import (
    AccessToken,
    AsyncClientCredentialsStrategy,
    CacheEntry,
    ClientAuthentication,
    ClientCredentialsStrategy,
    FileCachingStrategy,
    InMemoryCachingStrategy,
    RedisCachingStrategy,
    SdkConfiguration,
    TokenEndpointUnreachable,
    TokenError,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)
from client_credentials.testing import Answer, TokenServer, refusal
from tests.http.peers import CLOSED_PORT
from tests.leaks.canaries import PACKAGE, search
from tests.leaks.surfaces import shown
from tests.shell.kit import CLIENT_ID, CLIENT_SECRET, EXACT, Maker, Strategy, make_sync, settled

KEY = "the-key-of-a-gateway-77"
KINDS = (ClientCredentialsStrategy, AsyncClientCredentialsStrategy)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a pause."""
    monkeypatch.setattr("client_credentials._shell.driver.dice", lambda: 0.0)


def hits(*texts: str, tokens: tuple[str, ...] = ()) -> list[str]:
    """Look for the client's secret and these tokens, in every form."""
    return [str(hit) for hit in search(dict.fromkeys(texts, "here"), (CLIENT_SECRET, *tokens))]


def refused(strategy: Strategy) -> TokenError:
    """Ask for a token that is not to be had."""
    with pytest.raises(TokenError) as caught:
        strategy.get_or_create_access_token()
    return caught.value


def inner(strategy: Strategy) -> Any:
    """Look into a strategy, as no user does."""
    return strategy


def our_frames(error: BaseException) -> str:
    """Show the frames of the package, with their locals."""
    ours = [each for each in traceback.walk_tb(error.__traceback__) if str(PACKAGE) in each[0].f_code.co_filename]
    return "".join(traceback.StackSummary.extract(iter(ours), capture_locals=True).format())


@pytest.mark.parametrize("show", [repr, str, format])
def test_what_is_shown(server: TokenServer, show: Callable[[object], str]) -> None:
    """O1, RFC6749-10.1-1: nothing shows secret or token: strategy, configuration, token, request, response, error."""
    seen: list[object] = []

    def after(*both: object) -> None:
        seen.extend(both)

    strategy = make_sync(server, hooks={"after_request": after})
    token = strategy.get_or_create_access_token()
    server.always(refusal("invalid_client", CLIENT_SECRET))
    strategy.remove_access_token()
    used = inner(strategy)._active.configuration
    things = [strategy, used, token, *seen, refused(strategy), CacheEntry(token.access_token, 1)]
    texts = list(map(show, things))
    assert [] == hits(*texts, tokens=(token.access_token,))
    assert "my-client" in texts[0]
    assert "**********" in texts[2]


def test_what_a_configuration_shows() -> None:
    """O1: a configuration names what a user gave it, whose own repr may say more."""

    class Shelf(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any: ...
        def set(self, key: str, value: str, ttl: float) -> None: ...
        def remove(self, key: str) -> None: ...

    def sign(_: str, request: TokenRequest) -> None: ...

    cache = Shelf(key="a-token-in-a-shelf")
    text = repr(SdkConfiguration(caching_strategy=cache, before_request=partial(sign, CLIENT_SECRET)))
    assert [] == hits(text, tokens=("a-token-in-a-shelf",))
    assert "before_request=<partial>" in text
    assert "after_request=<nothing>" in text
    assert "Shelf>" in text


def test_attrs_helpers(server: TokenServer) -> None:
    """O2: asdict, astuple, evolve, fields and match give the token of an AccessToken alone, on purpose."""
    strategy = make_sync(server)
    token = strategy.get_or_create_access_token()
    assert token.access_token == attrs.asdict(token)["access_token"] == attrs.astuple(token)[0]
    evolved = attrs.evolve(token, scope="other")
    assert [] == hits(repr(evolved), repr(attrs.fields(AccessToken)), tokens=(token.access_token,))
    match token:
        case AccessToken(value, "Bearer"):
            assert token.access_token == value
        case _:
            pytest.fail("a token is matched by position")
    held = inner(strategy)._active.configuration
    assert [] == hits(repr(attrs.asdict(held)), repr(attrs.astuple(held)), tokens=(token.access_token,))
    with pytest.raises(attrs.exceptions.NotAnAttrsClassError) as caught:
        attrs.asdict(inner(strategy))
    assert [] == hits(str(caught.value))


def test_serializers(server: TokenServer) -> None:
    """O3: cattrs and json find neither secret nor token in a strategy, a configuration or an error."""
    import cattrs

    strategy = make_sync(server)
    token = strategy.get_or_create_access_token()
    server.always(refusal("invalid_client", f"neither {CLIENT_SECRET} nor {token.access_token}"))
    strategy.remove_access_token()
    error = refused(strategy)
    for thing in (strategy, inner(strategy)._active.configuration, error, vars(strategy), vars(error)):
        told = (repr(cattrs.unstructure(thing)), json.dumps(thing, default=str), json.dumps([thing], default=repr))
        assert [] == hits(*told, tokens=(token.access_token,))


def test_walks_over_attributes(server: TokenServer) -> None:
    """O4: vars, slots and getmembers lead to no secret, however far one goes, and to no text of a token."""
    strategy = make_sync(server)
    token = strategy.get_or_create_access_token()
    texts = [
        repr(vars(strategy)),
        repr(inspect.getmembers(strategy)),
        repr(inspect.getmembers(inner(strategy)._identity)),
    ]
    secret = inner(strategy)._identity.secrets[0]
    texts += [repr(inspect.getmembers(secret)), repr([getattr(secret, name) for name in secret.__slots__])]
    cache = inner(strategy)._active.configuration.caching_strategy
    texts += [repr(cache.__dict__), repr(inspect.getmembers(cache)), repr(dir(cache))]
    assert [] == hits(*texts, tokens=(token.access_token,))


def _in_a_list(strategy: Any) -> object:
    return pickle.dumps({"deep": [strategy]})


def _by_reduce(strategy: Any) -> object:
    return strategy.__reduce__()


def _by_reduce_ex(strategy: Any) -> object:
    return strategy.__reduce_ex__(4)


def _its_attributes(strategy: Any) -> object:
    return copy.deepcopy(strategy.__dict__)


def _its_secret(strategy: Any) -> object:
    return copy.copy(strategy._identity.secrets[0])


COPIES = (pickle.dumps, copy.copy, copy.deepcopy, _in_a_list, _by_reduce, _by_reduce_ex, _its_attributes, _its_secret)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", COPIES)
def test_nothing_is_copied(kind: type[ClientCredentialsStrategy], copied: Callable[[Any], object]) -> None:
    """O5, L8, L9: a strategy is neither pickled nor copied, nor is its secret by itself; the TypeError says why."""
    strategy = kind(CLIENT_ID, CLIENT_SECRET)
    with pytest.raises(TypeError, match=r"client secret.*cannot be pickled or copied") as caught:
        copied(strategy)
    assert [] == hits(str(caught.value))
    assert [] == hits(repr(inner(strategy).__getstate__()))


def _everywhere(error: BaseException) -> list[str]:
    return [text for _, text in shown(error)]


def test_an_error_and_what_is_behind_it(make: Maker, server: TokenServer) -> None:
    """O6: neither the error, nor its args, notes, causes and contexts, nor a traceback with locals shows the secret."""
    server.always(refusal("invalid_client", f"Basic {CLIENT_SECRET}"))
    strategy = make(server)
    for _ in range(2):  # the answer, then the gate
        error = refused(strategy)
        assert [] == hits(*_everywhere(error), our_frames(error))
        assert (None, None) == (error.__cause__, error.__context__)


def test_a_cause_of_the_users(server: TokenServer, make: Maker) -> None:
    """O6: on the way from a user's hook to its caller there is no frame of ours that shows the secret."""

    def fail(_: TokenRequest) -> None:
        raise LookupError("a hook's own words")

    error = refused(make(server, hooks={"before_request": fail}))
    assert isinstance(error.__cause__, LookupError)
    assert [] == hits(our_frames(error), our_frames(error.__cause__))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": ""},
        {"token_url": f"http://example.org/?key={KEY}"},
        {"scopes": "a b"},
        {"audience": 1},
        {"resources": ["x"]},
        {"extra_params": {"scope": KEY}},
        {"headers": {"X-Key": f"{KEY}\n"}},
        {"client_authentication": "basic"},
        {"policy": None},
        {"client_secret": f"{CLIENT_SECRET}\n"},
        {"client_secret": CLIENT_SECRET.encode()},
    ],
    ids=str,
)
def test_a_constructor_that_refuses(kind: Any, wrong: dict[str, Any]) -> None:
    """O6: whichever argument is to blame, no frame below the caller's shows a secret, nor does the ValueError.

    The half-made strategy in those frames shows itself nevertheless.
    """
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        kind(
            **{
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "token_url": f"https://example.org/?key={KEY}",
                "extra_params": {"gateway": KEY},
                "headers": {"X-Key": KEY},
                **wrong,
            }
        )
    assert [] == hits(*_everywhere(caught.value), our_frames(caught.value), tokens=(KEY,))
    assert "Strategy()" in our_frames(caught.value)


@pytest.mark.parametrize(
    "kept",
    [
        '{"version": 3, "held": {"token": "%s"}}',
        '{"version": 3, "written": 0, "ttl": 1, "gates": [], "held": {"token": {"access_token": "%s"}}}',
        "%s",
    ],
)
def test_a_cache_entry_that_does_not_read(server: TokenServer, caplog: pytest.LogCaptureFixture, kept: str) -> None:
    """O8: what cattrs says of a spoilt entry, with the entry in it, reaches no log and no error."""
    caplog.set_level(logging.DEBUG)

    class Spoilt(InMemoryCachingStrategy):
        def get(self, key: str) -> CacheEntry | None:
            return CacheEntry(kept % "a-kept-t0ken", 100.0)

    strategy = make_sync(server, hooks={"caching_strategy": Spoilt()})
    strategy.get_or_create_access_token()
    server.always(Answer(status=400))
    strategy.remove_access_token()
    error = refused(strategy)
    assert "Spoilt holds an entry that is not ours" in caplog.text
    assert [] == hits(caplog.text, *_everywhere(error), tokens=("a-kept-t0ken",))


def test_the_logs_of_a_pool(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    """O9: at DEBUG, urllib3 logs method, path, query and status; there is nothing secret in these, nor in our log."""
    caplog.set_level(logging.DEBUG)
    strategy = ClientCredentialsStrategy(
        CLIENT_ID,
        CLIENT_SECRET,
        token_url=f"{server.url}?tenant=a",
        client_authentication=ClientAuthentication.POST,
        policy=EXACT,
    )
    strategy.set_configuration(SdkConfiguration(fetch=Urllib3Fetch(pool=urllib3.PoolManager())))
    token = strategy.get_or_create_access_token()
    server.always(refusal("invalid_client", CLIENT_SECRET))
    strategy.remove_access_token()
    refused(strategy)
    settled(strategy)
    assert re.search(r'"POST /api/token\?tenant=a HTTP/1\.?1" 200', caplog.text)
    assert "invalid_client: **********" in caplog.text
    assert [] == hits(caplog.text, *(repr(vars(record)) for record in caplog.records), tokens=(token.access_token,))


def test_warnings(server: TokenServer, recwarn: pytest.WarningsRecorder) -> None:
    """O11: a library that warns is given nothing secret to warn about; nothing warns at all."""
    strategy = make_sync(server, hooks={"fetch": Urllib3Fetch(pool=urllib3.PoolManager())})
    token = strategy.get_or_create_access_token()
    server.always(Answer(status=500, headers={"X-Odd": token.access_token}, body=CLIENT_SECRET.encode()))
    strategy.remove_access_token()
    refused(strategy)
    assert [] == recwarn.list


def test_what_urllib3_says_of_a_path() -> None:
    """O12: urllib3's errors quote the URL; ours quote host and port, and `token_url` alone has the path, no query."""
    url = f"http://127.0.0.1:{CLOSED_PORT}/tenant-{CLIENT_SECRET}?key=a-private-key"
    for fetch in (Urllib3Fetch(pool=urllib3.PoolManager(retries=1)), Urllib3Fetch()):
        strategy = ClientCredentialsStrategy(CLIENT_ID, "another-secret", token_url=url, policy=EXACT)
        strategy.set_configuration(SdkConfiguration(fetch=fetch))
        error = refused(strategy)
        assert "ECONNREFUSED" in str(error)
        assert [] == hits(str(error), repr(error), tokens=("a-private-key",))
        assert url.partition("?")[0] == error.token_url
        assert "a-private-key" not in repr(vars(error))


def test_a_proxys_userinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    """O14: a proxy's user and password are in no error, not even of a proxy that is not there."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy-user:{CLIENT_SECRET}@127.0.0.1:{CLOSED_PORT}")
    strategy = ClientCredentialsStrategy(CLIENT_ID, "another-secret", token_url="https://token.test/", policy=EXACT)
    error = refused(strategy)
    assert isinstance(error, TokenEndpointUnreachable)
    assert "proxy 127.0.0.1" in str(error)
    assert [] == hits(*_everywhere(error), tokens=("proxy-user",))


def test_what_metrics_are_made_of(server: TokenServer) -> None:
    """O16: what a hook may put into a span or a metric, by name or by str, is harmless: methods, hosts, statuses."""
    spans: list[str] = []

    def before(request: TokenRequest) -> None:
        spans.append(f"{request.method} {request.url} {request.timeout} {request}")

    def after(request: TokenRequest, response: TokenResponse) -> None:
        spans.append(f"{request!r} {response!r} {response.status} {len(response.body)}")

    def handler(error: TokenError) -> None:
        spans.append(f"{error} {error!r} {vars(error)}")

    hooks = {"before_request": before, "after_request": after, "error_handler": handler}
    strategy = make_sync(server, hooks=hooks)
    token = strategy.get_or_create_access_token()
    server.always(refusal("invalid_client", CLIENT_SECRET))
    strategy.remove_access_token()
    refused(strategy)
    settled(strategy)
    assert 5 == len(spans)
    assert [] == hits(*spans, tokens=(token.access_token,))


class Recorder:
    """Stands for a redis-py client, and keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str | bytes | int, ...]] = []

    def execute_command(self, *args: str | bytes | int) -> object:
        self.sent.append(args)
        return 1 if "NX" in str(args[1]) or "TIME" in str(args[1]) else None


def test_names(server: TokenServer, tmp_path: Path) -> None:
    """O18: threads, files and the keys of Redis are named by constants and digests."""
    names: list[str] = []
    redis = Recorder()

    def hear(*_: object) -> None:
        names.extend(thread.name for thread in threading.enumerate())

    for cache in (FileCachingStrategy(tmp_path), RedisCachingStrategy(redis)):
        strategy = make_sync(server, hooks={"caching_strategy": cache, "before_request": hear})
        strategy.get_or_create_access_token()
        settled(strategy)
    files = [path.name for path in tmp_path.iterdir()]
    assert {".entry", ".lock"} == {re.sub("^client-credentials-[0-9a-f]{64}", "", name) for name in files}
    keys = {str(args[3]) for args in redis.sent}
    assert all(re.fullmatch(r"b'\{client-credentials-1-[0-9a-f]{64}\}(:lock)?'", key) for key in keys), keys
    values = [str(args[4:]) for args in redis.sent]
    assert [] == hits(*names, *files, *keys, tokens=tuple(server.issued))
    assert [] == hits(*values)
    assert hits(*values, tokens=tuple(server.issued[1:]))


PROGRAM = """
import gc, logging, secrets
from client_credentials import ClientCredentialsStrategy, TokenError
from client_credentials.testing import TokenServer, refusal

logging.disable()

def use():
    secret = secrets.token_hex(12)
    with TokenServer("a", secret) as server:
        strategy = ClientCredentialsStrategy("a", secret, token_url=server.url)
        token = strategy.get_or_create_access_token().access_token
        server.always(refusal("invalid_client", "no " + secret))
        strategy.remove_access_token()
        try:
            strategy.get_or_create_access_token()
        except TokenError:
            pass
        # Backwards, so that what is looked for is not what looks for it.
        return [secret[::-1], token[::-1]], holders(secret[::-1])

def holders(backwards):
    return [
        type(each).__name__
        for each in gc.get_objects()
        for part in ([*each.keys(), *each.values()] if isinstance(each, dict) else gc.get_referents(each))
        if isinstance(part, str) and backwards in part[::-1]
    ]

left, before = use()
gc.collect()
print(len(before) > 0, *map(holders, left))
"""


def test_nothing_outlives_its_strategy() -> None:
    """O19: once a strategy is gone, no dictionary, cache of a function or class holds its secret or its token."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert ("True [] []\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_no_plain_digest(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    """O21: no log, key or error shows an unsalted digest of the secret, which a weak one could be guessed from."""
    caplog.set_level(logging.DEBUG)
    keys: list[str] = []

    class Telling(InMemoryCachingStrategy):
        def get(self, key: str) -> CacheEntry | None:
            keys.append(key)
            return super().get(key)

    strategy = make_sync(server, hooks={"caching_strategy": Telling()})
    server.answer(refusal("invalid_client", CLIENT_SECRET))
    error = refused(make_sync(server))
    token = strategy.get_or_create_access_token()
    told = "".join((caplog.text, *keys, *_everywhere(error)))
    for value in (CLIENT_SECRET, token.access_token):
        for digest in (md5, sha1, sha256, sha512):
            assert digest(value.encode()).hexdigest()[:12] not in told


# Patterns of what is issued to somebody, in pieces so that this file does not match.
REAL = {
    "a private key": "-----BEGIN [A-Z ]*PRIVATE" + " KEY",
    "a JWT": r"\bey" + r"J[\w-]{10,}\.ey" + r"J[\w-]{10,}\.[\w-]{10,}",
    "a key of AWS": r"\b(?:AK|AS)" + r"IA[A-Z0-9]{16}\b",
    "a token of GitHub": r"\bgh[pousr]" + r"_\w{20,}",
    "a token of Slack": r"\bxox[abprs]" + r"-[\w-]{10,}",
    "a key of Stripe or OpenAI": r"\bsk[-_](?:live|proj|test)[-_]" + r"\w{16,}",
    "a secret of Spotify": r"""["'][0-9a-f]{32}["']""",
}


def _repository() -> Iterator[tuple[str, str]]:
    root = PACKAGE.parents[1]
    kinds = (".py", ".md", ".toml", ".txt", ".json", ".yml", ".yaml", ".cfg")
    for folder in ("src", "tests", "typings", "."):
        paths = (root / folder).iterdir() if folder == "." else (root / folder).rglob("*")
        for path in paths:
            if path.suffix in kinds and path.is_file():
                yield str(path.relative_to(root)), path.read_text("utf-8")


def test_examples_are_made_up() -> None:
    """O23: nothing in the documents, the code or the tests looks like a credential that somebody was given."""
    found = [(name, kind) for name, text in _repository() for kind, real in REAL.items() if re.search(real, text)]
    assert [] == found


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a JWT", "ey" + "J0eXAiOiJKV1QiLCJhbGciOi.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"),
        ("a secret of Spotify", f'"{"0123456789abcdef" * 2}"'),
        ("a key of AWS", "AK" + "IAABCDEFGHIJKLMNOP"),
    ],
)
def test_what_a_credential_looks_like(kind: str, text: str) -> None:
    """O23: the patterns find what they are for."""
    assert re.search(REAL[kind], text)
