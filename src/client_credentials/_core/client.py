"""A client's registration, checked: a wrong argument is a ValueError that names it, before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, cast
from urllib.parse import unquote_plus, urlsplit

from .model import Client, ClientAuthentication

SPOTIFY_TOKEN_URL: Final = "https://accounts.spotify.com/api/token"

_CONTROL = re.compile(r"[\x00-\x1F\x7F-\x9F\uD800-\uDFFF]")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"[\x21-\x7E](?:[\x20-\x7E]*[\x21-\x7E])?")

_RESERVED_PARAMS: Final[Mapping[str, str]] = {
    "grant_type": "it is always client_credentials",
    "scope": "use the scopes argument",
    "audience": "use the audience argument",
    "client_id": "use the client_id argument",
    "client_secret": "use the client_secret argument",
    # Either would be a second authentication method in one request (RFC 6749 section 2.3).
    "client_assertion": "use ClientAuthentication.ASSERTION",
    "client_assertion_type": "use ClientAuthentication.ASSERTION",
}
_FRAMING: Final = "it belongs to the HTTP exchange"
_RESERVED_HEADERS: Final[Mapping[str, str]] = {
    "authorization": "use the client_authentication argument",
    "proxy-authorization": "it belongs to the proxy",
    **dict.fromkeys(
        "accept-encoding connection content-encoding content-length content-type expect host keep-alive"
        " proxy-connection te trailer transfer-encoding upgrade".split(),
        _FRAMING,
    ),
}


def make_client(
    client_id: str,
    *,
    token_url: str,
    scopes: Collection[str],
    audience: str | None,
    resources: Collection[str],
    extra_params: Mapping[str, str],
    authentication: ClientAuthentication,
    headers: Mapping[str, str] = MappingProxyType({}),
    has_secret: bool = True,
) -> Client:
    """Check a client's registration; raises ValueError that names the argument and quotes no value.

    `has_secret` says whether there is a client secret; with ClientAuthentication.TLS, and only there, there is none.
    """
    check_kind("client_authentication", authentication, ClientAuthentication)
    _text("client_id", client_id)
    if ":" in client_id and authentication is ClientAuthentication.BASIC_RAW:
        raise ValueError("client_id must not contain a colon with ClientAuthentication.BASIC_RAW")
    if has_secret is (authentication is ClientAuthentication.TLS):
        only = "must be None with" if has_secret else "must not be None, except with"
        raise ValueError(f"client_secret {only} ClientAuthentication.TLS")
    client = Client(
        client_id=client_id,
        token_url=check_endpoint(token_url),
        authentication=authentication,
        scopes=_distinct("scopes", scopes, _scope),
        audience=None if audience in (None, "") else _text("audience", audience),
        resources=_distinct("resources", resources, _resource),
        extra_params=tuple(_params(extra_params)),
        headers=tuple(_headers(headers)),
    )
    _check_nothing_twice(client)
    return client


def check_kind(name: str, value: object, kind: type[object]) -> None:
    """Check an argument's type; raises ValueError that names the argument."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be an instance of {kind.__name__}")


def check_endpoint(url: object, name: str = "token_url", rule: str = "RFC 6749 section 3.2") -> str:
    """Hold a URL to the rules of a token endpoint, so strictly that no two parsers can read it differently.

    Raises ValueError, with the name of the argument and the section that asks for it.
    """
    text = _text(name, url)
    if not text.isascii() or " " in text or "\\" in text:
        raise ValueError(f"{name} must be printable ASCII; use punycode for international names")
    if "#" in text:
        raise ValueError(f"{name} must not have a fragment ({rule})")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if "@" in parts.netloc:
        raise ValueError(f"{name} must not contain a user name or a password")
    if not AUTHORITY.fullmatch(parts.netloc) or port == 0:
        raise ValueError(f"{name} must be of the form https://host[:port]/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError(f"{name} must be https, except for a loopback host ({rule})")
    seen: set[str] = set()
    for parameter, value in query_of(text):
        if (word := parameter or value) in _RESERVED_PARAMS:
            raise ValueError(f"{name} must not contain {word} in its query: {_RESERVED_PARAMS[word]}")
        if parameter and parameter in seen:
            raise ValueError(f"{name} must not contain {parameter} twice in its query")
        seen.add(parameter)
    return text


def check_secret(secret: object) -> str:
    """Return the secret if it can be sent; the ValueError does not quote it, nor do the frames from here."""
    try:
        return _text("client_secret", secret)
    except ValueError as error:
        reason = str(error)
    # Raised anew, with no frame below and no argument in this one: a traceback may show its locals.
    del secret
    raise ValueError(reason)


def is_loopback(host: str) -> bool:
    """Tell whether a name or address stands for this machine by itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def query_of(url: str) -> list[tuple[str, str]]:
    """The parameters in a URL's query, decoded; a word without a `=` is a value without a name."""
    words = (word.partition("=") for word in urlsplit(url).query.split("&") if word)
    return [
        (unquote_plus(name), unquote_plus(value)) if equals else ("", unquote_plus(name))
        for name, equals, value in words
    ]


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a non-empty string")
    if _CONTROL.search(value):
        raise ValueError(f"{name} must not contain control characters (a line break, for example) or lone surrogates")
    return value


def _distinct(name: str, values: object, check: Callable[[object], str]) -> tuple[str, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Collection):
        raise ValueError(f"{name} must be a collection of strings, not one string")
    return tuple(dict.fromkeys(map(check, cast("Collection[object]", values))))


def _pairs(name: str, values: object) -> Iterable[tuple[object, object]]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} must be a mapping of strings to strings")
    return cast("Mapping[object, object]", values).items()


def _scope(scope: object) -> str:
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
        raise ValueError("scopes must be words of the characters that RFC 6749 section 3.3 allows")
    return scope


def _resource(resource: object) -> str:
    text = _text("resources", resource)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    if parts is None or not (parts.netloc or parts.path) or not _URI.fullmatch(text):
        raise ValueError(
            "resources must be absolute URIs without a fragment (RFC 8707 section 2);"
            " anything else goes into extra_params as resource"
        )
    return text


def _params(params: object) -> Iterable[tuple[str, str]]:
    for name, value in _pairs("extra_params", params):
        word = _text("extra_params", name)
        if word in _RESERVED_PARAMS:
            raise ValueError(f"extra_params must not contain {word}: {_RESERVED_PARAMS[word]}")
        if value != "":  # RFC 6749 section 3.2: a parameter without a value counts as left out.
            yield word, _text("extra_params", value)


def _headers(headers: object) -> Iterable[tuple[str, str]]:
    names: set[str] = set()
    for name, value in _pairs("headers", headers):
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            raise ValueError("headers must have names that RFC 9110 section 5.6.2 allows")
        lower = name.lower()
        if lower in _RESERVED_HEADERS:
            raise ValueError(f"headers must not contain {name}: {_RESERVED_HEADERS[lower]}")
        if lower in names:
            raise ValueError(f"headers must not contain {name} twice")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"headers must have printable ASCII values without surrounding spaces; {name} does not")
        names.add(lower)
        yield name, value


def _check_nothing_twice(client: Client) -> None:
    """No parameter may be sent twice (RFC 6749 section 3.2), except for `resource` (RFC 8707 section 2)."""
    given = dict(client.extra_params)
    if client.resources and "resource" in given:
        raise ValueError("extra_params must not contain resource beside resources: use one of the two")
    for name, _ in query_of(client.token_url):
        if name == "resource" and client.resources:
            raise ValueError("token_url must not contain resource in its query beside resources: use one of the two")
        if name in given:
            raise ValueError(f"extra_params must not contain {name}: it is in the query of token_url already")
