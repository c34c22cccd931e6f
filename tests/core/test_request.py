"""The token request and the cache key: what is sent, how servers read it, and what makes two clients one."""

from __future__ import annotations

import base64
import hashlib
import string
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations, product
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, unquote, unquote_plus

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from client_credentials import ClientAuthentication
from client_credentials._core.model import Client, Refused
from client_credentials._core.request import cache_key, credentials_note, hidden_of, token_request
from client_credentials._core.secret import REDACTED, Secret
from tests.core.kit import make
from tests.strategies import ENDPOINT, RESOURCES, VISIBLE, clients, credentials, scope_words, seconds


def authorization(of: Client, secret: str) -> str:
    """What the Basic credential is made of."""
    scheme, _, encoded = token_request(of, secret, 1.0).headers["Authorization"].partition(" ")
    assert "Basic" == scheme
    return base64.b64decode(encoded, validate=True).decode()


def form(client: Client, secret: str) -> list[tuple[str, str]]:
    """The parameters of the client's request, as a server reads them."""
    body = token_request(client, secret, 1.0).body.decode("ascii")
    return parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict")


class TestTheMessage:
    """A POST of application/x-www-form-urlencoded, UTF-8 (RFC 6749 sections 3.2 and 4.4.2, appendix B)."""

    @given(clients(), credentials(), seconds(60))
    def test_frame(self, client: Client, secret: str, timeout: float) -> None:
        """RFC6749-3.2-3: a POST of a form, to where and for as long as was said; no header can end its line."""
        request = token_request(client, secret, timeout)
        assert ("POST", client.token_url, timeout) == (request.method, request.url, request.timeout)
        assert "application/x-www-form-urlencoded" == request.headers["Content-Type"]
        given = {name.lower(): value for name, value in client.headers}
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert given.get("accept", "application/json") == sent["accept"]
        assert given.get("user-agent") == sent["user-agent"] or sent["user-agent"].startswith("client-credentials/")
        assert given.items() <= sent.items()
        assert "" == "".join(c for text in (*sent, *sent.values()) for c in text if c not in VISIBLE + " ")

    @given(clients(), credentials())
    def test_parameters(self, client: Client, secret: str) -> None:
        """RFC6749-2.3-1, RFC6749-2.3.1-2, RFC6749-10.3-3, RFC7523-2.2, RFC8705-2, RFC8707-2-4, RFC9700-2.5: all.

        The client authenticates in one way, in the header or here; each parameter is decoded to what it was.
        """
        shown = {
            ClientAuthentication.POST: [("client_id", client.client_id), ("client_secret", secret)],
            ClientAuthentication.ASSERTION: [
                ("client_id", client.client_id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", secret),
            ],
            ClientAuthentication.TLS: [("client_id", client.client_id)],
        }
        asked = [("scope", " ".join(client.scopes)), ("audience", client.audience or "")]
        expected = [
            ("grant_type", "client_credentials"),
            *shown.get(client.authentication, []),
            *((name, value) for name, value in asked if value),
            *(("resource", resource) for resource in client.resources),
            *client.extra_params,
        ]
        assert expected == form(client, secret)
        in_header = client.authentication in (ClientAuthentication.BASIC, ClientAuthentication.BASIC_RAW)
        assert in_header is ("Authorization" in token_request(client, secret, 1.0).headers)


class TestEncoding:
    """RFC 6749 appendix B."""

    def test_the_vector_of_the_rfc(self) -> None:
        """RFC6749-4.4.2-1, RFC6749-4.4.2-2: the six characters of the appendix are encoded as it says, in the body."""
        request = token_request(make(audience=" %&+£€"), "s", 1.0)
        body = b"grant_type=client_credentials&audience=+%25%26%2B%C2%A3%E2%82%AC"
        assert ("POST", body) == (request.method, request.body)

    def test_the_vector_in_the_header(self) -> None:
        """P5, P6: in the header, what a form decoder would change is encoded (section 2.3.1), and nothing else."""
        assert "a%3A b: %25&%2B£€:" == authorization(make(client_id="a: b"), " %&+£€:")

    def test_all_parameters(self) -> None:
        """Scopes are joined by spaces, resources repeated, all in the order in which they were given."""
        full = make(
            scopes=["b", "a", "b"],
            audience="api",
            resources=["urn:y", "urn:x", "urn:y"],
            extra_params={"k": "v", "e": ""},
        )
        body = token_request(full, "s", 1.0).body.decode()
        assert "grant_type=client_credentials&scope=b+a&audience=api&resource=urn%3Ay&resource=urn%3Ax&k=v" == body

    def test_headers(self) -> None:
        """Headers of the user's are sent; Accept and User-Agent take the place of ours, in whatever case."""
        sent = token_request(make(headers={"X-Tenant": "blue", "accept": "*/*", "USER-AGENT": "me"}), "s", 1.0).headers
        given = {"X-Tenant": "blue", "accept": "*/*", "USER-AGENT": "me"}
        ours = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": sent["Authorization"]}
        assert {**given, **ours} == dict(sent)

    def test_an_empty_audience_is_none(self) -> None:
        """RFC6749-3.2-4: a parameter without a value counts as left out (section 3.2)."""
        assert make() == make(audience="", extra_params={"a": ""})


class TestClientAuthentication:
    """What the client shows (RFC 6749 section 2.3.1), and hides."""

    @given(clients(), credentials())
    @example(make(client_id="a:b%+ é"), "c:d%+ é€")
    def test_basic_round_trip(self, client: Client, secret: str) -> None:
        """RFC6749-2.3.1-1: BASIC carries any id and secret so that two kinds of decoder read the same."""
        client = attrs.evolve(client, authentication=ClientAuthentication.BASIC)
        user, colon, password = authorization(client, secret).partition(":")
        for decoded in (unquote, unquote_plus):
            assert (client.client_id, ":", secret) == (decoded(user), colon, decoded(password))

    @given(clients(), credentials())
    def test_basic_raw_round_trip(self, client: Client, secret: str) -> None:
        """BASIC_RAW carries them as they are, in UTF-8."""
        assume(":" not in client.client_id)
        client = attrs.evolve(client, authentication=ClientAuthentication.BASIC_RAW)
        assert f"{client.client_id}:{secret}" == authorization(client, secret)

    @given(clients(), st.text(VISIBLE, min_size=10, max_size=30))
    def test_what_is_shown_is_hidden(self, client: Client, secret: str) -> None:
        """Whatever of the secret a request shows, `hidden_of` hides."""
        request = token_request(client, secret, 1.0)
        hidden = hidden_of(client, Secret(secret))
        assert REDACTED == hidden.shown(f"you sent {request.headers.get('Authorization', secret)}")
        assert REDACTED == hidden.shown(f"you sent {base64.b64encode(request.body).decode()}")

    def test_a_short_secret_beside_the_id(self) -> None:
        """Neither is shown where both are encoded together, whether or not this client escapes the id."""
        for client_id, pair in (("a+", b"a+:x7q"), ("a+", b"a%2B:x7q"), ("a b", b"a b:x7q"), ("a b", b"a+b:x7q")):
            hidden = hidden_of(make(client_id=client_id), Secret("x7q"))
            assert REDACTED == hidden.shown(f"you sent {base64.b64encode(pair).decode()}")

    def test_a_short_secret_in_the_body(self) -> None:
        """Nor in what is left of the body, but for some characters before it."""
        client = make(authentication=ClientAuthentication.POST)
        body = base64.b64encode(token_request(client, "x7q", 1.0).body).decode().rstrip("=")
        assert REDACTED == hidden_of(client, Secret("x7q")).shown(f"you sent {body[-12:]}")

    def test_a_resource_is_no_secret(self) -> None:
        """It is an address, also where it stands in the query; the query's other values may be keys."""
        hidden = hidden_of(make(token_url="https://issuer.example/t?resource=urn:orders&key=k3y-0123"), Secret("x7q"))
        assert ("urn:orders", REDACTED) == (hidden.shown("urn:orders"), hidden.shown("k3y-0123"))

    def test_headers_that_are_no_secret(self) -> None:
        """What a program calls itself may be shown; the value of any other header may not."""
        hidden = hidden_of(make(headers={"User-Agent": "my-agent", "X-Tenant": "my-tenant"}), Secret("a-secret-71"))
        assert ("my-agent", REDACTED) == (hidden.shown("my-agent"), hidden.shown("my-tenant"))


DECODERS: Final[Mapping[str, Callable[[str], str]]] = {"form": unquote_plus, "percent": unquote, "none": str}

ODD: Final = f"{string.punctuation} é€😀"

CREDENTIALS: Final = [
    (f"id{ODD[at]}4b", f"{ODD[(at + step) % len(ODD)]}2fse{ODD[(at + 3 * step) % len(ODD)]}cret")
    for step in (1, 5, 11)
    for at in range(len(ODD))
]


def read_right(way: ClientAuthentication, decode: Callable[[str], str]) -> int:
    """How many of the credentials a server reads right that decodes like this."""
    count = 0
    for client_id, secret in CREDENTIALS:
        if way is ClientAuthentication.BASIC_RAW and ":" in client_id:
            continue  # which no header can carry
        user, _, password = authorization(make(client_id=client_id, authentication=way), secret).partition(":")
        count += (client_id, secret) == (decode(user), decode(password))
    return count


def fully_encoded() -> int:
    """How many are if everything is form-encoded, to the letter of the RFC."""
    return sum(
        all(decode(quote_plus(text)) == text for text in pair) for pair in CREDENTIALS for decode in DECODERS.values()
    )


def test_servers_that_differ() -> None:
    """P5, P6: BASIC is read right 235 times of 324, by every server that decodes; the letter of the RFC less often."""
    basic = {name: read_right(ClientAuthentication.BASIC, decode) for name, decode in DECODERS.items()}
    assert [len(CREDENTIALS)] * 2 == [basic["form"], basic["percent"]]
    assert 324 == len(CREDENTIALS) * len(DECODERS)
    assert sum(basic.values()) >= 235 > fully_encoded()
    assert sum(read_right(ClientAuthentication.BASIC_RAW, decode) for decode in DECODERS.values()) >= 261


class TestNote:
    """Where the server does not know the client, and servers decode its credentials differently, the error says so."""

    BASIC_NOTE = "client_id or client_secret holds a character that servers decode differently: try BASIC_RAW or POST"
    RAW_NOTE = "client_id or client_secret holds a character that servers decode differently: try BASIC or POST"

    @pytest.mark.parametrize(
        ("client_id", "secret"),
        [("my-client", "a+b"), ("my-client", "a%b"), ("a+b", "s"), ("a%20b", "s"), ("a:b", "s")],
    )
    def test_odd_credentials(self, client_id: str, secret: str) -> None:
        """It names the other two ways."""
        refusal = Refused(status=400, error="invalid_client")
        note = self.BASIC_NOTE.replace("BASIC_RAW or ", "") if ":" in client_id else self.BASIC_NOTE
        assert note == credentials_note(make(client_id=client_id), refusal, secret)
        if ":" not in client_id:
            raw = make(client_id=client_id, authentication=ClientAuthentication.BASIC_RAW)
            assert self.RAW_NOTE == credentials_note(raw, Refused(status=401, error="unauthorized"), secret)

    @pytest.mark.parametrize(
        ("changed", "secret", "refusal"),
        [
            ({}, "plain-secret:/=", Refused(status=401, error="invalid_client")),
            ({}, "a+b", Refused(status=400, error="invalid_scope")),
            ({"authentication": ClientAuthentication.POST}, "a+b", Refused(status=401, error="invalid_client")),
            ({"authentication": ClientAuthentication.ASSERTION}, "a+b", Refused(status=401, error="invalid_client")),
        ],
    )
    def test_otherwise_not(self, changed: dict[str, Any], secret: str, refusal: Refused) -> None:
        """It says nothing where that cannot be the reason."""
        assert None is credentials_note(make(**changed), refusal, secret)


def alike() -> Iterator[Client]:
    """Clients so much alike that any two may be the same, or the same but for where a word stands."""
    words = ("a", "b", "a,b", "null")
    params = ((), (("a", "b"),), (("a", "b"), ("b", "a")), (("b", "a"), ("a", "b")))
    ways = (ClientAuthentication.BASIC, ClientAuthentication.POST)
    for name, way, scopes, audience, extra in product(
        ("a", "a:b", "b"), ways, [(), *product(words), *permutations(words, 2)], (None, "a", "null", "None"), params
    ):
        client = make(client_id=name, authentication=way, audience=audience, extra_params=dict(extra))
        yield attrs.evolve(client, scopes=scopes)


def identity(client: Client) -> tuple[object, ...]:
    """What makes two clients one."""
    return (
        client.client_id,
        client.token_url,
        client.authentication,
        frozenset(client.scopes),
        client.audience,
        frozenset(client.resources),
        frozenset(client.extra_params),
        frozenset((name.lower(), value) for name, value in client.headers),
    )


OTHERS: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "client_id": credentials(),
    "token_url": st.sampled_from((ENDPOINT, f"{ENDPOINT}/", f"{ENDPOINT}?a=b", "https://other.example/token")),
    "authentication": st.sampled_from(ClientAuthentication),
    "scopes": st.lists(scope_words(), unique=True).map(tuple),
    "audience": st.none() | credentials() | st.just("null"),
    "resources": st.lists(st.sampled_from(RESOURCES), unique=True).map(tuple),
    "extra_params": st.dictionaries(credentials(), credentials(), max_size=2).map(lambda params: tuple(params.items())),
    "headers": st.sampled_from(((), (("X-Tenant", "blue"),), (("x-tenant", "blue"),), (("X-Tenant", "red"),))),
}


class TestCacheKey:
    """Two identities never share a token; the same identity always does."""

    def test_equal_keys_mean_equal_identities(self) -> None:
        """M20: two clients share a key if and only if they are the same, but for the order of what has none."""
        keys: dict[object, set[str]] = defaultdict(set)
        for client, secret in product(alike(), "ab"):
            keys[identity(client), secret].add(cache_key(client, secret))
        assert {1} == {len(each) for each in keys.values()}
        assert len(keys) == len({key for each in keys.values() for key in each})

    def test_an_assertion_is_left_out(self) -> None:
        """RFC7523-3: each pod has an assertion of its own, and all share a token."""
        client = make(authentication=ClientAuthentication.ASSERTION)
        assert cache_key(client, "a.b.c") == cache_key(client, "d.e.f")
        assert cache_key(client, "a.b.c") != cache_key(make(authentication=ClientAuthentication.POST), "")

    @given(clients(), credentials(), st.randoms(use_true_random=False))
    def test_order_is_irrelevant(self, client: Client, secret: str, random: Any) -> None:
        """M21, RFC6749-3.3-2: scopes, resources and extra parameters are sets."""
        shuffled: dict[str, Any] = {
            name: tuple(random.sample(getattr(client, name), len(getattr(client, name))))
            for name in ("scopes", "resources", "extra_params", "headers")
        }
        assert cache_key(client, secret) == cache_key(Client(**{**attrs.asdict(client), **shuffled}), secret)

    @given(clients(), credentials(), st.data())
    def test_every_input_counts(self, client: Client, secret: str, data: st.DataObject) -> None:
        """RFC8707-2.2-1, RFC8707-3-1, RFC9700-2.3: a change in one thing that can change the token changes the key."""
        name = data.draw(st.sampled_from([field.name for field in attrs.fields(Client)]))
        changed = attrs.evolve(client, **{name: data.draw(OTHERS[name])})
        assume(identity(changed) != identity(client))
        assert cache_key(client, secret) != cache_key(changed, secret)

    @given(clients(), credentials(), credentials())
    def test_the_secret_counts(self, client: Client, secret: str, another: str) -> None:
        """M22: who knows the id but not the secret does not get the token, zeros at its end included."""
        assume(secret != another and client.authentication is not ClientAuthentication.ASSERTION)
        keys = {cache_key(client, each) for each in (secret, another, f"{secret}\0", f"{secret}\0\0")}
        assert 4 == len(keys)

    @given(clients(), st.text(VISIBLE, min_size=8, max_size=40))
    def test_the_key_reveals_nothing(self, client: Client, secret: str) -> None:
        """O18, O21, M24: a key is a fixed text and a digest, which is not that of the secret alone."""
        head, _, digest = cache_key(client, secret).rpartition("-")
        assert ("client-credentials-1", 64, set()) == (head, len(digest), set(digest) - set("0123456789abcdef"))
        assert digest not in {hashlib.new(name, secret.encode()).hexdigest() for name in ("sha256", "blake2s")}
