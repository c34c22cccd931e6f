"""Properties of the token request, of the check of a client's arguments, and of the cache key."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, unquote_plus

import attrs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from client_credentials import ClientAuthentication
from client_credentials._core.client import check_secret, make_client
from client_credentials._core.model import Client
from client_credentials._core.request import cache_key, hidden_of, token_request
from client_credentials._core.secret import REDACTED, Secret
from tests.strategies import ENDPOINT, RESOURCES, VISIBLE, clients, credentials, scope_words, seconds

CANARY: Final = "canary-5ecret"


def registration(**changed: Any) -> dict[str, Any]:
    """The arguments of a client that is as good as any, but for what is changed."""
    sound: dict[str, Any] = {
        "client_id": "my-client",
        "token_url": ENDPOINT,
        "scopes": (),
        "audience": None,
        "resources": (),
        "extra_params": {},
        "authentication": ClientAuthentication.BASIC,
    }
    return {**sound, **changed}


def form(client: Client, secret: str) -> list[tuple[str, str]]:
    """The parameters of the client's request, as a server reads them."""
    body = token_request(client, secret, 1.0).body.decode("ascii")
    return parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict")


class TestTheMessage:
    """A POST of application/x-www-form-urlencoded, UTF-8 (RFC 6749 sections 3.2 and 4.4.2, appendix B)."""

    @given(clients(), credentials(), seconds(60))
    def test_frame(self, client: Client, secret: str, timeout: float) -> None:
        """Method, URL and timeout are as they were given, and the headers name what is sent and what is wanted."""
        request = token_request(client, secret, timeout)
        assert ("POST", client.token_url, timeout) == (request.method, request.url, request.timeout)
        assert "application/x-www-form-urlencoded" == request.headers["Content-Type"]
        given = {name.lower(): value for name, value in client.headers}
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert given.get("accept", "application/json") == sent["accept"]
        assert given.get("user-agent") == sent["user-agent"] or sent["user-agent"].startswith("client-credentials/")
        assert given.items() <= sent.items()

    @given(clients(), credentials())
    def test_parameters(self, client: Client, secret: str) -> None:
        """The grant, then what was asked for, each decoded to what it was, and nothing else."""
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

    @given(clients(), credentials())
    def test_nothing_empty_nothing_twice(self, client: Client, secret: str) -> None:
        """Parameters without a value are left out, and none but `resource` is repeated (section 3.2)."""
        sent = form(client, secret)
        names = [name for name, _ in sent if name != "resource"]
        assert (True, len(names)) == (all(value for _, value in sent), len(set(names)))

    @given(clients(), credentials())
    def test_headers_can_be_sent(self, client: Client, secret: str) -> None:
        """No name or value of a header can end a line, and each is ASCII."""
        headers = token_request(client, secret, 1.0).headers
        assert "" == "".join(c for text in (*headers, *headers.values()) for c in text if c not in VISIBLE + " ")


class TestClientAuthentication:
    """The client authenticates in exactly one way (RFC 6749 sections 2.3 and 2.3.1)."""

    @given(clients(), credentials())
    @example(make_client(**registration(client_id="a:b%+ é")), "c:d%+ é€")
    def test_basic_round_trip(self, client: Client, secret: str) -> None:
        """BASIC carries id and secret, whatever characters they have, so that two kinds of decoder read the same."""
        client = attrs.evolve(client, authentication=ClientAuthentication.BASIC)
        scheme, _, encoded = token_request(client, secret, 1.0).headers["Authorization"].partition(" ")
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        for decoded in (unquote, unquote_plus):
            assert ("Basic", client.client_id, ":", secret) == (scheme, decoded(user), colon, decoded(password))

    @given(clients(), credentials())
    def test_basic_raw_round_trip(self, client: Client, secret: str) -> None:
        """BASIC_RAW carries them as they are, in UTF-8; the first colon parts them."""
        assume(":" not in client.client_id)
        client = attrs.evolve(client, authentication=ClientAuthentication.BASIC_RAW)
        encoded = token_request(client, secret, 1.0).headers["Authorization"].removeprefix("Basic ")
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        assert (client.client_id, secret) == (user, password)

    @given(clients(), credentials())
    def test_one_way_at_a_time(self, client: Client, secret: str) -> None:
        """The header, the secret in the body or the assertion there, never two of them; TLS needs none."""
        sent = dict(form(client, secret))
        found = {
            "header": "Authorization" in token_request(client, secret, 1.0).headers,
            "post": "client_secret" in sent,
            "assertion": "client_assertion" in sent,
        }
        assert (client.authentication is not ClientAuthentication.TLS) is any(found.values())
        assert 1 >= sum(found.values())

    @given(clients(), st.text(VISIBLE, min_size=10, max_size=30))
    def test_what_is_shown_is_hidden(self, client: Client, secret: str) -> None:
        """Whatever of the secret a request shows, `hidden_of` hides."""
        request = token_request(client, secret, 1.0)
        hidden = hidden_of(client, Secret(secret))
        assert REDACTED == hidden.shown(f"you sent {request.headers.get('Authorization', secret)}")
        assert REDACTED == hidden.shown(f"you sent {base64.b64encode(request.body).decode()}")


BAD: Final[Mapping[str, tuple[object, ...]]] = {
    "client_id": ("", None, 7, b"id", True, "a\nb", "a\x7f", "a\x85", "\ud800"),
    "token_url": ("", None, 7, b"https://a.example/", "a.example", "https://a.example/\n"),
    "scopes": ("read", b"read", None, 7, [""], ["a b"], ['a"'], ["a\\"], ["é"], [None], [7], [b"a"]),
    "audience": (7, 0, False, [], b"", "a\r\nb"),
    "resources": ("urn:a", None, [7], [""], ["/path"], ["a"], ["https://a/#f"], ["urn:a b"], ["urn:é"], ["urn:%zz"]),
    "extra_params": (None, [("a", "b")], "a=b", {"a": None}, {"a": 7}, {7: "a"}, {"": "a"}, {"a": "\n"}),
    "headers": (None, [("a", "b")], "a=b", {"a": None}, {"a": 7}, {7: "a"}, {"": "a"}, {"a": "\n"}, {"a": "é"}),
    "authentication": (None, "basic", ClientAuthentication, 0),
}
MISFITS: Final = [(name, value) for name, values in BAD.items() for value in values]


class TestArguments:
    """Bad arguments are a ValueError that names the argument and never quotes a secret."""

    @pytest.mark.parametrize(("name", "bad"), MISFITS)
    def test_the_argument_is_named(self, name: str, bad: object) -> None:
        """One bad argument among good ones is told apart."""
        with pytest.raises(ValueError, match=f"^(client_)?{name} must "):
            make_client(**registration(**{name: bad}))

    @given(credentials(), st.characters(categories=["Cc", "Cs"]), credentials())
    def test_a_bad_secret_stays_out_of_sight(self, left: str, middle: str, right: str) -> None:
        """A secret that cannot be sent is in neither the error, nor its context, nor a frame below the caller."""
        secret = f"{CANARY}{left}{middle}{right}"
        with pytest.raises(ValueError, match=r"^client_secret must ") as caught:
            check_secret(secret)
        error = caught.value
        frames = traceback.TracebackException(ValueError, error, caught.tb.tb_next, capture_locals=True)
        assert (None, None) == (error.__cause__, error.__context__)
        assert not [line for line in frames.format() if CANARY in line]

    @pytest.mark.parametrize("secret", ["", None, 7, b"secret", True])
    def test_a_secret_is_text(self, secret: object) -> None:
        """P4: an empty secret, and one that is no string, is refused."""
        with pytest.raises(ValueError, match=r"^client_secret must be a string that is not empty$"):
            check_secret(secret)

    @given(credentials())
    def test_a_good_secret_is_kept(self, secret: str) -> None:
        """Whatever can be sent is given back unchanged."""
        assert secret == check_secret(secret)


def alike() -> st.SearchStrategy[Client]:
    """Clients so few and so much alike that any two may be the same, or the same but for where a word stands."""
    words = st.lists(st.sampled_from(("a", "b", "a,b", "null")), max_size=2)
    return st.builds(
        Client,
        client_id=st.sampled_from(("a", "a:b", "b")),
        token_url=st.just(ENDPOINT),
        authentication=st.sampled_from((ClientAuthentication.BASIC, ClientAuthentication.POST)),
        scopes=words.map(tuple),
        audience=st.sampled_from((None, "a", "null", "None")),
        resources=st.just(()),
        extra_params=st.sampled_from(((), (("a", "b"),), (("a", "b"), ("b", "a")), (("b", "a"), ("a", "b")))),
    )


class TestCacheKey:
    """Two identities never share a token; the same identity always does."""

    @settings(max_examples=400)
    @given(alike(), st.sampled_from("ab"), alike(), st.sampled_from("ab"))
    def test_equal_keys_mean_equal_identities(self, one: Client, secret: str, other: Client, another: str) -> None:
        """Two clients share a key if and only if they are the same, but for the order of what has none."""
        same = (identity(one), secret) == (identity(other), another)
        assert same is (cache_key(one, secret) == cache_key(other, another))

    @given(clients(), credentials(), st.randoms(use_true_random=False))
    def test_order_is_irrelevant(self, client: Client, secret: str, random: Any) -> None:
        """Scopes, resources and extra parameters are sets."""
        shuffled: dict[str, Any] = {
            name: tuple(random.sample(getattr(client, name), len(getattr(client, name))))
            for name in ("scopes", "resources", "extra_params", "headers")
        }
        assert cache_key(client, secret) == cache_key(Client(**{**attrs.asdict(client), **shuffled}), secret)

    @given(clients(), credentials(), st.data())
    def test_every_input_counts(self, client: Client, secret: str, data: st.DataObject) -> None:
        """A change in one thing that can change the token changes the key."""
        name = data.draw(st.sampled_from([field.name for field in attrs.fields(Client)]))
        changed = attrs.evolve(client, **{name: data.draw(OTHERS[name])})
        assume(identity(changed) != identity(client))
        assert cache_key(client, secret) != cache_key(changed, secret)

    @given(clients(), credentials(), credentials())
    def test_the_secret_counts(self, client: Client, secret: str, another: str) -> None:
        """Whoever knows the id but not the secret does not get the token, zeros at the end of a secret included."""
        assume(secret != another and client.authentication is not ClientAuthentication.ASSERTION)
        keys = {cache_key(client, each) for each in (secret, another, f"{secret}\0", f"{secret}\0\0")}
        assert 4 == len(keys)

    @given(clients(), st.text(VISIBLE, min_size=8, max_size=40))
    def test_the_key_reveals_nothing(self, client: Client, secret: str) -> None:
        """A key is a fixed text and 64 hexadecimal digits; neither id nor secret nor their bare digests are in it."""
        head, _, digest = cache_key(client, secret).rpartition("-")
        assert ("client-credentials-1", 64, set()) == (head, len(digest), set(digest) - set("0123456789abcdef"))
        assert secret not in f"{head}-{digest}"


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
