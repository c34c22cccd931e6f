"""What is peculiar to requests: files that can be rewound, hooks, prepared requests, streams."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from client_credentials import AsyncClientCredentialsStrategy, ClientCredentialsStrategy, TokenError
from client_credentials.integrations.requests import BearerAuth
from client_credentials.testing import TokenServer, refusal
from tests.http.peers import Peer, answers
from tests.integrations.kit import INVALID, Api, blocking


@pytest.fixture
def strategy(server: TokenServer) -> ClientCredentialsStrategy:
    """Give a strategy for the token server's client."""
    return blocking(server)


@pytest.fixture
def session(strategy: ClientCredentialsStrategy) -> Generator[requests.Session]:
    """Give a session that authenticates."""
    with requests.Session() as session:
        session.trust_env = False
        session.auth = BearerAuth(strategy)
        yield session


def revoke(session: requests.Session, api: Api) -> None:
    """Let the session's token die."""
    session.get(api.url())
    api.revoked.update(token for token in api.tokens if token)


def test_an_asynchronous_strategy_is_refused() -> None:
    """Requests cannot await a token; the error says what it needs."""
    strategy: Any = AsyncClientCredentialsStrategy("my-client", "a-secret-17")
    with pytest.raises(ValueError, match=r"^strategy must be a synchronous one for requests"):
        BearerAuth(strategy)


def test_a_file_is_sent_again_from_where_it_stood(session: requests.Session, api: Api, tmp_path: Path) -> None:
    """A file that can seek is a body that can be had again, from the place where the first time began."""
    revoke(session, api)
    path = tmp_path / "body"
    path.write_bytes(b"head and tail")
    with path.open("rb") as file:
        file.seek(5)
        assert 200 == session.post(api.url(), data=file).status_code
    assert [b"and tail"] * 2 == [hit.body for hit in api.hits[1:]]


def test_a_pipe_is_not_sent_again(session: requests.Session, api: Api, server: TokenServer) -> None:
    """A file that cannot seek is read once: the 401 is passed through, without asking for a token in vain."""
    revoke(session, api)
    reading, writing = os.pipe()
    os.write(writing, b"once")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = session.post(api.url(), data=file)
    assert (401, [b"once"], 1) == (answer.status_code, [hit.body for hit in api.hits[1:]], len(server.requests))


@pytest.mark.parametrize(
    "content",
    [{"data": {"a": "1"}}, {"json": {"a": 1}}, {"files": {"f": io.BytesIO(b"x")}}],
    ids=lambda each: next(iter(each)),
)
def test_an_encoded_body_is_sent_again(session: requests.Session, api: Api, content: dict[str, Any]) -> None:
    """What requests has encoded into bytes is sent again as it was."""
    revoke(session, api)
    assert 200 == session.post(api.url(), **content).status_code
    assert api.hits[1].body == api.hits[2].body != b""


def test_a_streamed_refusal_is_left_unread(session: requests.Session, api: Api) -> None:
    """With `stream=True` an answer that is passed through still has its body to come."""
    api.refuses_all, api.challenge = True, 'Bearer error="insufficient_scope"'
    with session.post(api.url(), data=b"why not", stream=True) as answer:
        assert b"why not" == answer.raw.read()


def test_a_prepared_request_may_be_sent_again(session: requests.Session, api: Api, server: TokenServer) -> None:
    """A request keeps the token that it was prepared with; dead, it is replaced at each sending, renewed once."""
    prepared = session.prepare_request(requests.Request("GET", api.url()))
    assert 200 == session.send(prepared).status_code
    api.revoked.update(server.issued)
    assert [200, 200] == [session.send(prepared).status_code for _ in range(2)]
    first, second = server.issued
    assert [first, first, second, first, second] == api.tokens


def test_a_token_of_the_callers_own_is_not_touched(session: requests.Session, api: Api, server: TokenServer) -> None:
    """A caller who has put another token into the prepared request is refused for that one, not for ours."""
    prepared = session.prepare_request(requests.Request("GET", api.url()))
    prepared.headers["Authorization"] = "Bearer my-own"
    assert 401 == session.send(prepared).status_code
    assert (["my-own"], 1) == (api.tokens, len(server.requests))


def test_hooks_see_the_last_answer(session: requests.Session, api: Api) -> None:
    """A hook of the caller's, which may raise for a 401, is called once, with what the repetition brought."""
    revoke(session, api)
    seen: list[int] = []

    def look(answer: requests.Response, **_: object) -> None:
        seen.append(answer.status_code)

    assert 200 == session.get(api.url(), hooks={"response": look}).status_code
    assert [200] == seen


class Witness(HTTPAdapter):
    """An adapter that remembers the answers it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[requests.Response] = []

    def send(self, *args: Any, **sending: Any) -> requests.Response:
        """Send."""
        self.answers.append(super().send(*args, **sending))
        return self.answers[-1]


def test_the_refusal_is_closed_when_there_is_no_token(session: requests.Session, api: Api, server: TokenServer) -> None:
    """An answer that nobody will get does not keep its connection."""
    revoke(session, api)
    witness = Witness()
    session.mount("http://", witness)
    server.always(refusal("invalid_client"))
    with pytest.raises(TokenError):
        session.post(api.url(), data=b"x" * 100_000, stream=True)
    assert [True] == [answer.raw.closed for answer in witness.answers]


class Upgrade(HTTPAdapter):
    """A host on the default ports: http leads to https, which takes no token."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, bool]] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer without a network."""
        url = request.url or ""
        self.asked.append((url, "Authorization" in request.headers))
        answer = requests.Response()
        answer.request, answer.url, answer.connection, answer.raw = request, url, self, io.BytesIO()
        answer.status_code = 401 if url.startswith("https:") else 302
        answer.headers.update({"Location": "https://api.example/", "WWW-Authenticate": INVALID})
        return answer


def test_a_move_to_tls_earns_no_new_token(session: requests.Session, server: TokenServer) -> None:
    """RFC9700-4.9: https is another origin; requests lets the header pass, but no token is spent on a 401 there."""
    upgrade = Upgrade()
    session.auth = BearerAuth(blocking(server), allow_http=True)
    session.mount("http://api.example", upgrade)
    session.mount("https://api.example", upgrade)
    assert 401 == session.get("http://api.example/").status_code
    assert [("http://api.example/", True), ("https://api.example/", True)] == upgrade.asked
    assert 1 == len(server.requests)


def test_an_answer_can_be_pickled(session: requests.Session, api: Api) -> None:
    """Responses go to other processes and into caches, the refused one in the history too; the strategy stays here."""
    revoke(session, api)
    answer = session.post(api.url(), data=b"why")
    copy = pickle.loads(pickle.dumps(answer))
    assert (200, b"why", [(401, b"why")]) == (
        copy.status_code,
        copy.content,
        [(each.status_code, each.content) for each in copy.history],
    )


def test_an_unpickled_request_can_be_sent(session: requests.Session, api: Api, server: TokenServer) -> None:
    """It carries the token that it was prepared with, and nobody answers a refusal."""
    request = pickle.loads(pickle.dumps(session.get(api.url()).request))
    assert 200 == session.send(request).status_code
    api.revoked.update(server.issued)
    assert (401, 1) == (session.send(request).status_code, len(server.requests))


@pytest.mark.parametrize("stream", [True, False])
def test_the_history_keeps_the_beginning_of_a_refusal(session: requests.Session, api: Api, *, stream: bool) -> None:
    """What was refused is read to 64 KiB, with `stream=True` and without."""
    revoke(session, api)
    (refused,) = session.post(api.url(), data=b"x" * 100_000, stream=stream).history
    assert 65536 == len(refused.content)


def test_a_refusal_cut_short_is_replayed(strategy: ClientCredentialsStrategy) -> None:
    """The status has said all that matters: what becomes of the refused body does not."""
    cut = answers(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nonly this")
    with Peer(cut, answers(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")) as peer:
        answer = requests.get(peer.url, auth=BearerAuth(strategy), timeout=60)
    assert (200, b"") == (answer.status_code, answer.history[0].content)
