"""Client to token request, client to cache key; what is wrong with a client is said here, before anything is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Collection, Mapping
from typing import Final, cast
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from .model import Client, ClientAuthentication, TokenRequest

VERSION: Final = "0.1.0"

SPOTIFY_TOKEN_URL: Final = "https://accounts.spotify.com/api/token"

_CONTROL = re.compile(r"[\x00-\x1F\x7F-\x9F\uD800-\uDFFF]")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986
_RESERVED = frozenset(
    # The last two would be a second authentication method in one request (RFC 6749 section 2.3).
    "grant_type scope client_id client_secret audience resource client_assertion client_assertion_type".split()
)


def make_client(
    client_id: str,
    *,
    token_url: str,
    scopes: Collection[str],
    audience: str | None,
    resources: Collection[str],
    extra_params: Mapping[str, str],
    authentication: ClientAuthentication,
) -> Client:
    """Check a client's registration; raises ValueError that names the argument to mend."""
    check_kind("client_authentication", authentication, ClientAuthentication)
    _text("client_id", client_id)
    if ":" in client_id and authentication is ClientAuthentication.BASIC_RAW:
        raise ValueError("client_id: holds a colon, which BASIC_RAW cannot carry")
    return Client(
        client_id=client_id,
        token_url=_endpoint(token_url),
        authentication=authentication,
        scopes=tuple(dict.fromkeys(_scope(scope) for scope in _several("scopes", scopes))),
        audience=None if audience in (None, "") else _text("audience", audience),
        resources=tuple(dict.fromkeys(_resource(each) for each in _several("resources", resources))),
        extra_params=tuple(_extra(extra_params)),
    )


def check_kind(name: str, value: object, kind: type[object]) -> None:
    """Hold an argument to its type; raises ValueError that names it."""
    if not isinstance(value, kind):
        raise ValueError(f"{name}: an instance of {kind.__name__} is needed")


def check_secret(secret: object) -> str:
    """Give the secret back if it can be sent; raises ValueError that does not quote it, nor do the frames from here."""
    try:
        return _text("client_secret", secret)
    except ValueError as error:
        reason = str(error)
    # Raised anew, with no frame below and no argument in this one: a traceback may show its locals.
    del secret
    raise ValueError(reason)


def token_request(client: Client, secret: str, timeout: float) -> TokenRequest:
    """Build the request of RFC 6749 section 4.4.2; `timeout` is in seconds, for the whole exchange."""
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"client-credentials/{VERSION}",
    }
    form = [("grant_type", "client_credentials")]
    if client.authentication is ClientAuthentication.POST:
        form += [("client_id", client.client_id), ("client_secret", secret)]
    else:
        headers["Authorization"] = f"Basic {_basic(client, secret)}"
    if client.scopes:
        form.append(("scope", " ".join(client.scopes)))
    if client.audience:
        form.append(("audience", client.audience))
    form += [("resource", resource) for resource in client.resources]
    form += client.extra_params
    return TokenRequest("POST", client.token_url, headers, urlencode(form).encode("ascii"), timeout)


def credential(client: Client, secret: str) -> tuple[str, ...]:
    """Name what a request shows of the secret, for whoever must keep it out of sight."""
    return secret, _basic(client, secret)


def cache_key(client: Client, secret: str) -> str:
    """Digest every input that can change the token; the secret is the key of the digest, so none is told by it.

    Two clients share a key only if they are the same client with the same secret.
    """
    identity = (
        client.token_url,
        client.client_id,
        client.authentication.value,
        sorted(client.scopes),
        client.audience,
        sorted(client.resources),
        sorted(client.extra_params),
    )
    # Hashed first: HMAC pads its key with zeros and shortens a long one, so two secrets could share a digest.
    key = hashlib.sha256(secret.encode()).digest()
    return "client-credentials-1-" + hmac.new(key, json.dumps(identity).encode(), hashlib.sha256).hexdigest()


def _basic(client: Client, secret: str) -> str:
    pair = (client.client_id, secret)
    if client.authentication is ClientAuthentication.BASIC:
        pair = (quote_plus(client.client_id), quote_plus(secret))
    return base64.b64encode(":".join(pair).encode()).decode("ascii")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: a string that is not empty is needed")
    if _CONTROL.search(value):
        raise ValueError(f"{name}: holds a control character (the end of a line, perhaps) or half a surrogate pair")
    return value


def _several(name: str, values: object) -> Collection[object]:
    if isinstance(values, str | bytes) or not isinstance(values, Collection):
        raise ValueError(f"{name}: a collection of strings is needed, not one string")
    return cast("Collection[object]", values)


def _scope(scope: object) -> str:
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
        raise ValueError("scopes: each is a word of the characters that RFC 6749 section 3.3 allows")
    return scope


def _resource(resource: object) -> str:
    text = _text("resources", resource)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    if parts is None or not (parts.netloc or parts.path) or not _URI.fullmatch(text):
        raise ValueError("resources: each is an absolute URI without a fragment (RFC 8707 section 2)")
    return text


def _extra(params: object) -> list[tuple[str, str]]:
    if not isinstance(params, Mapping):
        raise ValueError("extra_params: a mapping of strings to strings is needed")
    given: list[tuple[str, str]] = []
    for name, value in cast("Mapping[object, object]", params).items():
        word = _text("extra_params", name)
        if word in _RESERVED:
            raise ValueError(f"extra_params: {word} is not for here: it has an argument of its own")
        if value != "":  # RFC 6749 section 3.2: a parameter without a value counts as left out.
            given.append((word, _text("extra_params", value)))
    return given


def _endpoint(url: object) -> str:
    """Hold a token endpoint's URL to RFC 6749 section 3.2, so strictly that no two parsers can read it differently."""
    text = _text("token_url", url)
    if not (text.isascii() and text.isprintable()) or " " in text or "\\" in text:
        raise ValueError("token_url: printable ASCII alone, please; an international host name goes in as punycode")
    if "#" in text:
        raise ValueError("token_url: must not have a fragment (RFC 6749 section 3.2)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    if "@" in parts.netloc:
        raise ValueError("token_url: must not hold a user name or a password")
    if not _AUTHORITY.fullmatch(parts.netloc) or not host or port == 0:
        raise ValueError("token_url: https://host[:port]/path is needed")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("token_url: https is needed, but for a loopback host (RFC 6749 section 3.2)")
    if any(name in _RESERVED for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError("token_url: its query names a parameter that has an argument of its own")
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
