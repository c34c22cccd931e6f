"""Client to token request, client to cache key, client to what must not be shown of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote_plus, urlencode

from .client import query_of
from .model import Client, ClientAuthentication, Refused, TokenRequest, without_query
from .redaction import Hidden, Needles, needles
from .secret import Secret

VERSION: Final = "0.1.0"
OUR_HEADERS: Final = {"Accept": "application/json", "User-Agent": f"client-credentials/{VERSION}"}

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OTHER_WAYS: Final = {  # of those that send a header
    ClientAuthentication.BASIC: "BASIC_RAW or POST",
    ClientAuthentication.BASIC_RAW: "BASIC or POST",
}


def token_request(client: Client, secret: str, timeout: float) -> TokenRequest:
    """Build the request of RFC 6749 section 4.4.2; `timeout` is in seconds, for the whole exchange.

    `secret` is the client secret, the assertion with ClientAuthentication.ASSERTION, and empty with TLS.
    """
    given = {name.lower() for name, _ in client.headers}
    headers = {name: value for name, value in OUR_HEADERS.items() if name.lower() not in given} | dict(client.headers)
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    if client.authentication in _OTHER_WAYS:
        headers["Authorization"] = f"Basic {_credential(client, secret)}"
    return TokenRequest("POST", client.token_url, headers, _body(client, secret), timeout)


def credentials_note(client: Client, refusal: Refused, secret: str) -> str | None:
    """Name the other ways to authenticate, where this one may have been misread by the server."""
    if client.authentication not in _OTHER_WAYS or not (refusal.error == "invalid_client" or refusal.status == 401):
        return None
    if not {"%", "+"} & {*client.client_id, *secret} and ":" not in client.client_id:
        return None
    # BASIC_RAW has no way to send a colon in the id.
    ways = "POST" if ":" in client.client_id else _OTHER_WAYS[client.authentication]
    return f"client_id or client_secret holds a character that servers decode differently: try {ways}"


def hidden_of(client: Client, secret: Secret, tokens: Callable[[], Iterable[str]] = tuple) -> Hidden:
    """Everything that a text about this client must not show; `tokens` gives those in hand or removed.

    The values are read when there is a text to look at, so no frame that calls a user's code holds them.
    """
    return Hidden(lambda: _needles(client, secret.reveal(), tokens()))


def _needles(client: Client, secret: str, tokens: Iterable[str]) -> Needles:
    public = (client.client_id, without_query(client.token_url), *client.scopes, *client.resources)
    messages = [_body(client, secret).decode("ascii")]
    if client.authentication not in (ClientAuthentication.ASSERTION, ClientAuthentication.TLS):
        messages += [f"{client.client_id}:{secret}", f"{quote_plus(client.client_id)}:{quote_plus(secret)}"]
        messages += [_pair(client, secret), _credential(client, secret)]
    others = [
        *(value for name, value in client.extra_params if name != "resource"),  # which is an address
        *(value for name, value in client.headers if name.lower() not in ("accept", "user-agent")),
        *(value for name, value in query_of(client.token_url) if name != "resource"),
        *tokens,
    ]
    return needles(secret, others, messages, (*public, client.audience or ""))


def cache_key(client: Client, secret: str) -> str:
    """Digest every input that can change the token; the secret is the key of the digest, so none is told by it.

    Two clients share a key only if they are the same client with the same secret. An assertion is left out: it is
    another one each time.
    """
    identity = (
        client.token_url,
        client.client_id,
        client.authentication.value,
        sorted(client.scopes),
        client.audience,
        sorted(client.resources),
        sorted(client.extra_params),
        sorted((name.lower(), value) for name, value in client.headers),
    )
    # Hashed first: HMAC pads its key with zeros and shortens a long one, so two secrets could share a digest.
    lasting = "" if client.authentication is ClientAuthentication.ASSERTION else secret
    key = hashlib.sha256(lasting.encode()).digest()
    return "client-credentials-1-" + hmac.digest(key, json.dumps(identity).encode(), "sha256").hex()


def _body(client: Client, secret: str) -> bytes:
    form = [("grant_type", "client_credentials")]
    if client.authentication not in _OTHER_WAYS:
        form.append(("client_id", client.client_id))
    if client.authentication is ClientAuthentication.POST:
        form.append(("client_secret", secret))
    if client.authentication is ClientAuthentication.ASSERTION:
        form += [("client_assertion_type", _ASSERTION_TYPE), ("client_assertion", secret)]
    if client.scopes:
        form.append(("scope", " ".join(client.scopes)))
    if client.audience:
        form.append(("audience", client.audience))
    form += [("resource", resource) for resource in client.resources]
    form += client.extra_params
    return urlencode(form).encode("ascii")


def _credential(client: Client, secret: str) -> str:
    return base64.b64encode(_pair(client, secret).encode()).decode("ascii")


def _pair(client: Client, secret: str) -> str:
    """Id and secret as HTTP Basic carries them."""
    user = client.client_id
    if client.authentication is ClientAuthentication.BASIC:
        # What a form decoder would change, and nothing else: many servers do not decode (RFC 6749 section 2.3.1).
        user, secret = (text.replace("%", "%25").replace("+", "%2B") for text in (user, secret))
        user = user.replace(":", "%3A")
    return f"{user}:{secret}"
