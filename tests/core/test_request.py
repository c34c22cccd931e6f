"""Examples of the token request: the vectors of the RFC, and which endpoints are trusted with a secret."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest

from client_credentials import ClientAuthentication
from client_credentials._core.client import check_kind
from client_credentials._core.model import Client, Refused
from client_credentials._core.request import cache_key, credentials_note, token_request
from tests.core.kit import make


def authorization(of: Client, secret: str) -> str:
    """What the Basic credential is made of."""
    header = token_request(of, secret, 1.0).headers["Authorization"]
    return base64.b64decode(header.removeprefix("Basic ")).decode()


class TestEncoding:
    """RFC 6749 appendix B."""

    def test_the_vector_of_the_rfc(self) -> None:
        """The six characters of the appendix are encoded as it says, in the body."""
        request = token_request(make(audience=" %&+£€"), "s", 1.0)
        assert b"grant_type=client_credentials&audience=+%25%26%2B%C2%A3%E2%82%AC" == request.body

    def test_the_vector_in_the_header(self) -> None:
        """P5, P6: in the header, what a form decoder would change is encoded (section 2.3.1), and nothing else."""
        assert "a%3A b: %25&%2B£€:" == authorization(make(client_id="a: b"), " %&+£€:")

    def test_raw(self) -> None:
        """BASIC_RAW leaves the encoding out."""
        raw = make(authentication=ClientAuthentication.BASIC_RAW)
        assert "my-client:a: %£" == authorization(raw, "a: %£")

    def test_plain_ids_are_the_same_either_way(self) -> None:
        """For Spotify's alphanumeric ids and secrets, form-encoding changes nothing."""
        raw = make(authentication=ClientAuthentication.BASIC_RAW)
        assert authorization(make(), "3f9c") == authorization(raw, "3f9c")

    def test_assertion(self) -> None:
        """RFC7523-2.2, RFC9700-2.5: ASSERTION sends the secret as client_assertion, with its type and the id."""
        request = token_request(make(authentication=ClientAuthentication.ASSERTION), "a.b.c", 1.0)
        assert {
            "grant_type": "client_credentials",
            "client_id": "my-client",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": "a.b.c",
        } == dict(parse_qsl(request.body.decode(), strict_parsing=True))
        assert "Authorization" not in request.headers

    def test_tls(self) -> None:
        """RFC8705-2: TLS sends the id alone (RFC 8705 section 2)."""
        request = token_request(make(authentication=ClientAuthentication.TLS, has_secret=False), "", 1.0)
        assert b"grant_type=client_credentials&client_id=my-client" == request.body
        assert "Authorization" not in request.headers

    def test_post(self) -> None:
        """P6: POST puts both into the body, form-encoded, and no Authorization header beside them."""
        request = token_request(make(authentication=ClientAuthentication.POST), "a&b=c", 1.0)
        assert b"grant_type=client_credentials&client_id=my-client&client_secret=a%26b%3Dc" == request.body
        assert "Authorization" not in request.headers

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
        assert {"X-Tenant": "blue", "accept": "*/*", "USER-AGENT": "me"} == {
            name: value for name, value in sent.items() if name not in ("Content-Type", "Authorization")
        }

    def test_an_empty_audience_is_none(self) -> None:
        """A parameter without a value counts as left out (section 3.2)."""
        assert make() == make(audience="", extra_params={"a": ""})


class TestArguments:
    """What no request can carry is refused before there is one."""

    def test_a_colon_cannot_go_raw(self) -> None:
        """RFC7617-2: a colon in the id would move the border between id and secret; encoded it may stay."""
        assert "a:b" == make(client_id="a:b").client_id
        with pytest.raises(ValueError, match=r"^client_id must not hold a colon with ClientAuthentication.BASIC_RAW$"):
            make(client_id="a:b", authentication=ClientAuthentication.BASIC_RAW)

    @pytest.mark.parametrize(
        ("name", "instead"),
        {
            "grant_type": "it is always client_credentials",
            "scope": "use the scopes argument",
            "client_id": "use the client_id argument",
            "client_secret": "use the client_secret argument",
            "audience": "use the audience argument",
            "client_assertion": "use ClientAuthentication.ASSERTION",
            "client_assertion_type": "use ClientAuthentication.ASSERTION",
        }.items(),
    )
    def test_reserved_parameters(self, name: str, instead: str) -> None:
        """Neither as an extra parameter nor in the query of the endpoint, percent-encoded or not."""
        with pytest.raises(ValueError, match=rf"^extra_params must not hold {name}: {instead}$"):
            make(extra_params={name: "x"})
        for spelled in (name, name.replace("_", "%5F"), f"%{ord(name[0]):x}{name[1:]}"):
            for query in (f"a=b&{spelled}=x", spelled):
                with pytest.raises(ValueError, match=rf"^token_url must not hold {name} in its query: {instead}$"):
                    make(token_url=f"https://issuer.example/token?{query}")

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            (
                {"token_url": "https://a.example/?a=1&a=2"},
                "token_url must not hold a twice in its query",
            ),
            (
                {"token_url": "https://a.example/?%61=1", "extra_params": {"a": "2"}},
                "extra_params must not hold a: it is in the query of token_url already",
            ),
            (
                {"resources": ["urn:a"], "extra_params": {"resource": "urn:b"}},
                "extra_params must not hold resource beside resources: use one of the two",
            ),
            (
                {"resources": ["urn:a"], "token_url": "https://a.example/?resource=urn:b"},
                "token_url must not hold resource in its query beside resources: use one of the two",
            ),
            (
                {"token_url": "https://a.example/?resource=x", "extra_params": {"resource": "y"}},
                "extra_params must not hold resource: it is in the query of token_url already",
            ),
        ],
    )
    def test_nothing_twice(self, changed: dict[str, Any], said: str) -> None:
        """No parameter is sent twice, the endpoint's own query included (section 3.2)."""
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            make(**changed)

    def test_what_is_not_twice(self) -> None:
        """Words without a name are none of the parameters, and one without a value is left out."""
        url = "https://a.example/?key&key&tenant=a"
        assert url == make(token_url=url, extra_params={"key": "x", "tenant": ""}).token_url

    def test_a_guid_as_resource(self) -> None:
        """What is no URI may be the resource, as Entra's first version wants it, as an extra parameter."""
        guid = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
        with pytest.raises(ValueError, match=r"^resources must be absolute URIs .* extra_params as resource$"):
            make(resources=[guid])
        assert (("resource", guid),) == make(extra_params={"resource": guid}).extra_params

    @pytest.mark.parametrize(
        ("headers", "said"),
        [
            ({"Authorization": "x"}, "headers must not hold Authorization: use the client_authentication argument"),
            ({"HOST": "x"}, "headers must not hold HOST: it belongs to the HTTP exchange"),
            ({"content-type": "x"}, "headers must not hold content-type: it belongs to the HTTP exchange"),
            ({"Transfer-Encoding": "x"}, "headers must not hold Transfer-Encoding: it belongs to the HTTP exchange"),
            ({"X-A": "x", "x-a": "y"}, "headers must not hold x-a twice"),
            ({"X A": "x"}, "headers must have names that RFC 9110 section 5.6.2 allows"),
            ({"": "x"}, "headers must have names that RFC 9110 section 5.6.2 allows"),
            ({"X": " x"}, "headers must have printable ASCII values, without spaces around them: X has not"),
            ({"X": "a\r\nB: c"}, "headers must have printable ASCII values, without spaces around them: X has not"),
            ({"X": ""}, "headers must have printable ASCII values, without spaces around them: X has not"),
        ],
    )
    def test_headers_that_cannot_be_sent(self, headers: dict[str, str], said: str) -> None:
        """What frames the message or authenticates is reserved, and no value can end a line."""
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            make(headers=headers)

    @pytest.mark.parametrize("way", ClientAuthentication)
    def test_a_secret_or_none(self, way: ClientAuthentication) -> None:
        """There is no secret with TLS, and with nothing else."""
        with_tls = way is ClientAuthentication.TLS
        assert way is make(authentication=way, has_secret=not with_tls).authentication
        said = "must be None with" if with_tls else "must not be None, except with"
        with pytest.raises(ValueError, match=rf"^client_secret {said} ClientAuthentication.TLS$"):
            make(authentication=way, has_secret=with_tls)

    @pytest.mark.parametrize(
        "resource", ["https://a.example", "urn:a:b", "HTTPS://a/?q=%20", "api://0f-1", "https://[::1]/"]
    )
    def test_absolute_uris(self, resource: str) -> None:
        """Any absolute URI may be a resource (RFC 8707 section 2)."""
        assert (resource,) == make(resources={resource}).resources

    @pytest.mark.parametrize(
        "resource",
        ["https:", "https://", "1a:b", "https://[::1", "https://[x]/", "a:b\\c", 'a:"', "a:<b>", "a:%4"],
    )
    def test_what_is_no_absolute_uri(self, resource: str) -> None:
        """Whatever RFC 3986 would not call one is refused."""
        with pytest.raises(ValueError, match=r"^resources must "):
            make(resources=[resource])

    def test_a_misplaced_kind_is_named(self) -> None:
        """The message says which argument, and what it should be."""
        with pytest.raises(ValueError, match=r"^policy must be an instance of int$"):
            check_kind("policy", "5", int)


class TestEndpoint:
    """The endpoint's URL is https, without user or fragment, and reads the same to everyone (RFC 6749 section 3.2)."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://issuer.example",
            "https://issuer.example/",
            "HTTPS://ISSUER.example:443/a/b.c",
            "https://issuer.example/token?tenant=a%20b&x=y@z",
            "https://issuer.example//a//b@c",
            "https://xn--bcher-kva.example/token",
            "https://192.0.2.1:8443/token",
            "https://[2001:db8::1]:8443/token",
            "https://under_score.example/token",
            "http://localhost/token",
            "http://LOCALHOST:80/token",
            "http://127.0.0.1:8080/token",
            "http://127.255.0.3/token",
            "http://[::1]:8080/token",
        ],
    )
    def test_accepted_as_it_is(self, url: str) -> None:
        """P1: https, and http for a loopback host; what is accepted is sent to as it was given, query and all."""
        assert url == token_request(make(token_url=url), "s", 1.0).url

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://issuer.example/token", "be https, except"),
            ("http://localhost.evil.example/", "be https, except"),
            ("http://127.0.0.1.evil.example/", "be https, except"),
            ("http://127.1/", "be https, except"),
            ("http://2130706433/", "be https, except"),
            ("http://0x7f000001/", "be https, except"),
            ("http://0.0.0.0/", "be https, except"),
            ("http://128.0.0.1/", "be https, except"),
            ("http://[::2]/", "be https, except"),
            ("ftp://localhost/", "be https, except"),
            ("file://localhost/etc/passwd", "be https, except"),
            ("//issuer.example/token", "be https, except"),
            ("http://localhost@evil.example/", "not hold a user name"),
            ("https://user:pass@issuer.example/", "not hold a user name"),
            ("https://@issuer.example/", "not hold a user name"),
            ("https://a@b//c", "not hold a user name"),
            ("http://localhost:80@evil.example/", "not hold a user name"),
            ("https://issuer.example/token#", "not have a fragment"),
            ("https://issuer.example/#f", "not have a fragment"),
            ("http://evil.example#@localhost/", "not have a fragment"),
            ("http://evil.example\\@localhost/", "be printable ASCII"),
            ("http://localhost\\evil.example/", "be printable ASCII"),
            ("https://issuer.example/to ken", "be printable ASCII"),
            (" https://issuer.example/", "be printable ASCII"),
            ("https://bücher.example/", "be printable ASCII; use punycode"),
            ("https://issuer.exampleⓔ/", "be printable ASCII; use punycode"),
            ("http://localhost\u3002evil/", "be printable ASCII; use punycode"),
            ("https://issuer.example/\r\nX: y", "not hold control characters"),
            ("https://issuer.example/\t", "not hold control characters"),
            ("https://issuer.example/\x00", "not hold control characters"),
            ("https://issuer.example:0/", "of the form https://host"),
            ("https://issuer.example:/", "of the form https://host"),
            ("https://issuer.example:65536/", "of the form https://host"),
            ("https://issuer.example:secret/", "of the form https://host"),
            ("https://issuer.example:-1/", "of the form https://host"),
            ("https://:443/", "of the form https://host"),
            ("https://", "of the form https://host"),
            ("https:///token", "of the form https://host"),
            ("https:issuer.example/token", "of the form https://host"),
            ("issuer.example/token", "of the form https://host"),
            ("https://[::1/", "of the form https://host"),
            ("https://[evil.example]/", "of the form https://host"),
            ("https://[::1]evil/", "of the form https://host"),
            ("https://[fe80::1%25eth0]/", "of the form https://host"),
            ("https://iss%75er.example/", "of the form https://host"),
            ("https://a,b/", "of the form https://host"),
        ],
    )
    def test_refused(self, url: str, reason: str) -> None:
        """P1, P3: anything else is refused with the argument and the reason; nothing of the URL is quoted."""
        with pytest.raises(ValueError, match=rf"^token_url must .*{reason}") as caught:
            make(token_url=url)
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert "secret" not in str(caught.value)


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
        assert self.BASIC_NOTE == credentials_note(make(client_id=client_id), refusal, secret)
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


class TestCacheKey:
    """What makes two clients one, where it is easily missed."""

    def test_an_assertion_is_left_out(self) -> None:
        """Each pod has an assertion of its own, and all share a token."""
        client = make(authentication=ClientAuthentication.ASSERTION)
        assert cache_key(client, "a.b.c") == cache_key(client, "d.e.f")
        assert cache_key(client, "a.b.c") != cache_key(make(authentication=ClientAuthentication.POST), "")

    def test_headers_are_part_of_it(self) -> None:
        """A header may tell tenants apart; its name has no case."""
        blue, red = make(headers={"X-Tenant": "blue"}), make(headers={"X-Tenant": "red"})
        assert 3 == len({cache_key(client, "s") for client in (blue, red, make())})
        assert cache_key(blue, "s") == cache_key(make(headers={"x-tenant": "blue"}), "s")
