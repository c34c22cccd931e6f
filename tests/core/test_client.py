"""A client's registration: which arguments are refused, by which words, and which endpoints get a secret."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_credentials import ClientAuthentication
from client_credentials._core.client import check_kind, check_secret
from client_credentials._core.request import token_request
from tests.core.kit import make
from tests.strategies import credentials

CANARY: Final = "canary-5ecret"

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
        """RFC6749-3.3-1, RFC8707-2-1: one bad argument among good ones is told apart."""
        with pytest.raises(ValueError, match=f"^(client_)?{name} must "):
            make(**{name: bad})

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
        """P4, RFC6749-2.3.1-4: an empty secret, and one that is no string, is refused."""
        with pytest.raises(ValueError, match=r"^client_secret must be a non-empty string$"):
            check_secret(secret)

    @given(credentials())
    def test_a_good_secret_is_kept(self, secret: str) -> None:
        """Whatever can be sent is given back unchanged."""
        assert secret == check_secret(secret)

    def test_a_colon_cannot_go_raw(self) -> None:
        """RFC7617-2: a colon in the id would move the border between id and secret; encoded it may stay."""
        assert "a:b" == make(client_id="a:b").client_id
        with pytest.raises(ValueError, match=r"^client_id must not contain a colon with .*\.BASIC_RAW$"):
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
        """RFC6749-2.3.1-3, RFC9700-2.4: neither as an extra parameter nor in the endpoint's query, encoded or not."""
        with pytest.raises(ValueError, match=rf"^extra_params must not contain {name}: {instead}$"):
            make(extra_params={name: "x"})
        for spelled in (name, name.replace("_", "%5F"), f"%{ord(name[0]):x}{name[1:]}"):
            for query in (f"a=b&{spelled}=x", spelled):
                with pytest.raises(ValueError, match=rf"^token_url must not contain {name} in its query: {instead}$"):
                    make(token_url=f"https://issuer.example/token?{query}")

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            (
                {"token_url": "https://a.example/?a=1&a=2"},
                "token_url must not contain a twice in its query",
            ),
            (
                {"token_url": "https://a.example/?%61=1", "extra_params": {"a": "2"}},
                "extra_params must not contain a: it is in the query of token_url already",
            ),
            (
                {"resources": ["urn:a"], "extra_params": {"resource": "urn:b"}},
                "extra_params must not contain resource beside resources: use one of the two",
            ),
            (
                {"resources": ["urn:a"], "token_url": "https://a.example/?resource=urn:b"},
                "token_url must not contain resource in its query beside resources: use one of the two",
            ),
            (
                {"token_url": "https://a.example/?resource=x", "extra_params": {"resource": "y"}},
                "extra_params must not contain resource: it is in the query of token_url already",
            ),
        ],
    )
    def test_nothing_twice(self, changed: dict[str, Any], said: str) -> None:
        """RFC6749-3.2-5: no parameter is sent twice, the endpoint's own query included (section 3.2)."""
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
            ({"Authorization": "x"}, "headers must not contain Authorization: use the client_authentication argument"),
            ({"HOST": "x"}, "headers must not contain HOST: it belongs to the HTTP exchange"),
            ({"content-type": "x"}, "headers must not contain content-type: it belongs to the HTTP exchange"),
            ({"Transfer-Encoding": "x"}, "headers must not contain Transfer-Encoding: it belongs to the HTTP exchange"),
            ({"X-A": "x", "x-a": "y"}, "headers must not contain x-a twice"),
            ({"X A": "x"}, "headers must have names that RFC 9110 section 5.6.2 allows"),
            ({"": "x"}, "headers must have names that RFC 9110 section 5.6.2 allows"),
            ({"X": " x"}, "headers must have printable ASCII values without surrounding spaces; X does not"),
            ({"X": "a\r\nB: c"}, "headers must have printable ASCII values without surrounding spaces; X does not"),
            ({"X": ""}, "headers must have printable ASCII values without surrounding spaces; X does not"),
        ],
    )
    def test_headers_that_cannot_be_sent(self, headers: dict[str, str], said: str) -> None:
        """What frames the message or authenticates is reserved, and no value can end a line."""
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            make(headers=headers)

    @pytest.mark.parametrize("way", ClientAuthentication)
    def test_a_secret_or_none(self, way: ClientAuthentication) -> None:
        """RFC6749-4.4-1: there is no secret with TLS, and with nothing else."""
        with_tls = way is ClientAuthentication.TLS
        assert way is make(authentication=way, has_secret=not with_tls).authentication
        said = "must be None with" if with_tls else "must not be None, except with"
        with pytest.raises(ValueError, match=rf"^client_secret {said} ClientAuthentication.TLS$"):
            make(authentication=way, has_secret=with_tls)

    @pytest.mark.parametrize(
        "resource", ["https://a.example", "urn:a:b", "HTTPS://a/?q=%20", "api://0f-1", "https://[::1]/"]
    )
    def test_absolute_uris(self, resource: str) -> None:
        """RFC8707-2-3: any absolute URI may be a resource (RFC 8707 section 2)."""
        assert (resource,) == make(resources={resource}).resources

    @pytest.mark.parametrize(
        "resource",
        ["https:", "https://", "1a:b", "https://[::1", "https://[x]/", "a:b\\c", 'a:"', "a:<b>", "a:%4", "urn:a#b"],
    )
    def test_what_is_no_absolute_uri(self, resource: str) -> None:
        """RFC8707-2-2: whatever RFC 3986 would not call one is refused."""
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
        """P1, RFC6749-3.2-1: https, and http for a loopback host; what is accepted is sent to as it was given."""
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
            ("http://localhost@evil.example/", "not contain a user name"),
            ("https://user:pass@issuer.example/", "not contain a user name"),
            ("https://@issuer.example/", "not contain a user name"),
            ("https://a@b//c", "not contain a user name"),
            ("http://localhost:80@evil.example/", "not contain a user name"),
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
            ("https://issuer.example/\r\nX: y", "not contain control characters"),
            ("https://issuer.example/\t", "not contain control characters"),
            ("https://issuer.example/\x00", "not contain control characters"),
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
            ("https://[secret]/", "of the form https://host"),
            ("https://issuer.example/?client_secret=secret", "not contain client_secret in its query"),
        ],
    )
    def test_refused(self, url: str, reason: str) -> None:
        """P1, P3, O13, RFC6749-3.2-2, RFC6749-10.3-2: anything else is refused with the reason; nothing is quoted."""
        with pytest.raises(ValueError, match=rf"^token_url must .*{reason}") as caught:
            make(token_url=url)
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert "secret" not in str(caught.value).replace("client_secret", "")
