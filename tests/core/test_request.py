"""Examples of the token request: the vectors of the RFC, and which endpoints are trusted with a secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from client_credentials import ClientAuthentication
from client_credentials._core.client import check_kind, make_client
from client_credentials._core.model import Client
from client_credentials._core.request import token_request


def client(**changed: Any) -> Client:
    """A client like any other, but for what is changed."""
    sound: dict[str, Any] = {
        "client_id": "my-client",
        "token_url": "https://issuer.example/token",
        "scopes": (),
        "audience": None,
        "resources": (),
        "extra_params": {},
        "authentication": ClientAuthentication.BASIC,
    }
    return make_client(**{**sound, **changed})


def authorization(of: Client, secret: str) -> str:
    """What the Basic credential is made of."""
    header = token_request(of, secret, 1.0).headers["Authorization"]
    return base64.b64decode(header.removeprefix("Basic ")).decode()


class TestEncoding:
    """RFC 6749 appendix B."""

    def test_the_vector_of_the_rfc(self) -> None:
        """The six characters of the appendix are encoded as it says, in the body."""
        request = token_request(client(audience=" %&+£€"), "s", 1.0)
        assert b"grant_type=client_credentials&audience=+%25%26%2B%C2%A3%E2%82%AC" == request.body

    def test_the_vector_in_the_header(self) -> None:
        """P5, P6: in the header as well: id and secret are form-encoded before base64 (section 2.3.1)."""
        assert "a%3A+b:+%25%26%2B%C2%A3%E2%82%AC" == authorization(client(client_id="a: b"), " %&+£€")

    def test_raw(self) -> None:
        """BASIC_RAW leaves the encoding out."""
        raw = client(authentication=ClientAuthentication.BASIC_RAW)
        assert "my-client:a: %£" == authorization(raw, "a: %£")

    def test_plain_ids_are_the_same_either_way(self) -> None:
        """For Spotify's alphanumeric ids and secrets, form-encoding changes nothing."""
        raw = client(authentication=ClientAuthentication.BASIC_RAW)
        assert authorization(client(), "3f9c") == authorization(raw, "3f9c")

    def test_post(self) -> None:
        """P6: POST puts both into the body, form-encoded, and no Authorization header beside them."""
        request = token_request(client(authentication=ClientAuthentication.POST), "a&b=c", 1.0)
        assert b"grant_type=client_credentials&client_id=my-client&client_secret=a%26b%3Dc" == request.body
        assert "Authorization" not in request.headers

    def test_all_parameters(self) -> None:
        """Scopes are joined by spaces, resources repeated, all in the order in which they were given."""
        full = client(
            scopes=["b", "a", "b"],
            audience="api",
            resources=["urn:y", "urn:x", "urn:y"],
            extra_params={"k": "v", "e": ""},
        )
        body = token_request(full, "s", 1.0).body.decode()
        assert "grant_type=client_credentials&scope=b+a&audience=api&resource=urn%3Ay&resource=urn%3Ax&k=v" == body

    def test_an_empty_audience_is_none(self) -> None:
        """A parameter without a value counts as left out (section 3.2)."""
        assert client() == client(audience="", extra_params={"a": ""})


class TestArguments:
    """What no request can carry is refused before there is one."""

    def test_a_colon_cannot_go_raw(self) -> None:
        """A colon in the id would move the border between id and secret; form-encoded it may stay."""
        assert "a:b" == client(client_id="a:b").client_id
        with pytest.raises(ValueError, match=r"^client_id: holds a colon"):
            client(client_id="a:b", authentication=ClientAuthentication.BASIC_RAW)

    @pytest.mark.parametrize(
        "name",
        "grant_type scope client_id client_secret audience resource client_assertion client_assertion_type".split(),
    )
    def test_parameters_with_an_argument_of_their_own(self, name: str) -> None:
        """Neither as an extra parameter nor in the query of the endpoint, percent-encoded or not."""
        with pytest.raises(ValueError, match=rf"^extra_params: {name} "):
            client(extra_params={name: "x"})
        for spelled in (name, name.replace("_", "%5F"), f"%{ord(name[0]):x}{name[1:]}"):
            with pytest.raises(ValueError, match=r"^token_url: its query"):
                client(token_url=f"https://issuer.example/token?a=b&{spelled}=x")
            with pytest.raises(ValueError, match=r"^token_url: its query"):
                client(token_url=f"https://issuer.example/token?{spelled}")

    @pytest.mark.parametrize(
        "resource", ["https://a.example", "urn:a:b", "HTTPS://a/?q=%20", "api://0f-1", "https://[::1]/"]
    )
    def test_absolute_uris(self, resource: str) -> None:
        """Any absolute URI may be a resource (RFC 8707 section 2)."""
        assert (resource,) == client(resources={resource}).resources

    @pytest.mark.parametrize(
        "resource",
        ["https:", "https://", "1a:b", "https://[::1", "https://[x]/", "a:b\\c", 'a:"', "a:<b>", "a:%4"],
    )
    def test_what_is_no_absolute_uri(self, resource: str) -> None:
        """Whatever RFC 3986 would not call one is refused."""
        with pytest.raises(ValueError, match=r"^resources: "):
            client(resources=[resource])

    def test_a_misplaced_kind_is_named(self) -> None:
        """The message says which argument, and what it should be."""
        with pytest.raises(ValueError, match=r"^policy: an instance of int is needed$"):
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
        assert url == token_request(client(token_url=url), "s", 1.0).url

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://issuer.example/token", "https is needed"),
            ("http://localhost.evil.example/", "https is needed"),
            ("http://127.0.0.1.evil.example/", "https is needed"),
            ("http://127.1/", "https is needed"),
            ("http://2130706433/", "https is needed"),
            ("http://0x7f000001/", "https is needed"),
            ("http://0.0.0.0/", "https is needed"),
            ("http://128.0.0.1/", "https is needed"),
            ("http://[::2]/", "https is needed"),
            ("ftp://localhost/", "https is needed"),
            ("file://localhost/etc/passwd", "https is needed"),
            ("//issuer.example/token", "https is needed"),
            ("http://localhost@evil.example/", "user name"),
            ("https://user:pass@issuer.example/", "user name"),
            ("https://@issuer.example/", "user name"),
            ("https://a@b//c", "user name"),
            ("http://localhost:80@evil.example/", "user name"),
            ("https://issuer.example/token#", "fragment"),
            ("https://issuer.example/#f", "fragment"),
            ("http://evil.example#@localhost/", "fragment"),
            ("http://evil.example\\@localhost/", "printable ASCII"),
            ("http://localhost\\evil.example/", "printable ASCII"),
            ("https://issuer.example/to ken", "printable ASCII"),
            (" https://issuer.example/", "printable ASCII"),
            ("https://bücher.example/", "punycode"),
            ("https://issuer.exampleⓔ/", "punycode"),
            ("http://localhost\u3002evil/", "punycode"),
            ("https://issuer.example/\r\nX: y", "control character"),
            ("https://issuer.example/\t", "control character"),
            ("https://issuer.example/\x00", "control character"),
            ("https://issuer.example:0/", "host"),
            ("https://issuer.example:/", "host"),
            ("https://issuer.example:65536/", "host"),
            ("https://issuer.example:secret/", "host"),
            ("https://issuer.example:-1/", "host"),
            ("https://:443/", "host"),
            ("https://", "host"),
            ("https:///token", "host"),
            ("https:issuer.example/token", "host"),
            ("issuer.example/token", "host"),
            ("https://[::1/", "host"),
            ("https://[evil.example]/", "host"),
            ("https://[::1]evil/", "host"),
            ("https://[fe80::1%25eth0]/", "host"),
            ("https://iss%75er.example/", "host"),
            ("https://a,b/", "host"),
        ],
    )
    def test_refused(self, url: str, reason: str) -> None:
        """P1, P3: anything else is refused with the argument and the reason; nothing of the URL is quoted."""
        with pytest.raises(ValueError, match=rf"^token_url: .*{reason}") as caught:
            client(token_url=url)
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert "secret" not in str(caught.value)
