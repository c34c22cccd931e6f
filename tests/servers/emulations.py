"""What each of the servers wants of a token request, and what it answers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from tests.integrations.kit import Hit

GUID: Final = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
SITE: Final = "00000003-0000-0ff1-ce00-000000000000/contoso.sharepoint.com@realm"
TOKEN: Final = "a-t0ken-of-the-emulated-server"
REFUSED: Final = (401, {"error": "invalid_client"})


class Asked(Hit):
    """A request, by what it says."""

    @property
    def form(self) -> dict[str, str]:
        """The body as a form; nothing where it says that it is something else."""
        kind = self.headers.get("content-type", "")
        return dict(parse_qsl(self.body.decode())) if kind == "application/x-www-form-urlencoded" else {}

    @property
    def json(self) -> dict[str, object]:
        """The body as a JSON object; nothing where it says that it is something else."""
        is_json = self.headers.get("content-type") == "application/json"
        return cast("dict[str, object]", json.loads(self.body)) if is_json else {}

    @property
    def query(self) -> dict[str, str]:
        """The parameters in the target."""
        return dict(parse_qsl(urlsplit(self.path).query))

    @property
    def basic(self) -> tuple[str, str]:
        """Id and secret as they stand in the header, not decoded."""
        encoded = self.headers.get("authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
        return user, password


Answered = tuple[int, object]
Judge = Callable[[Asked], bool]


@attrs.frozen
class Server:
    """A server: whom it knows, whether it is content with a request, and its answer; text goes out as it is."""

    wants: Judge
    answer: Callable[[], object]
    status: int = 200
    client_id: str = "my-client-id"
    client_secret: str = "my-client-secret"

    def __call__(self, asked: Asked) -> Answered:
        return (self.status, self.answer()) if self.wants(asked) else REFUSED


def in_header(asked: Asked, client_id: str = "my-client-id", secret: str = "my-client-secret") -> bool:
    """The usual way to authenticate, and the usual grant."""
    return asked.basic == (client_id, secret) and asked.form.get("grant_type") == "client_credentials"


def in_body(asked: Asked, client_id: str = "my-client-id") -> bool:
    """The other usual way."""
    form = asked.form
    return (form.get("client_id"), form.get("client_secret")) == (client_id, "my-client-secret")


def grant(**members: object) -> Callable[[], object]:
    """An answer with these members beside the token; None leaves one out."""
    document = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, **members}
    return lambda: {name: value for name, value in document.items() if value is not None}


def in_milliseconds() -> object:
    """GigaChat says when the token ends, not how long it lives."""
    return {"access_token": TOKEN, "expires_at": int((time.time() + 1800) * 1000)}


SAP: Final = ("sb-app!t12|svc!b3", "8b1c$Yw=value:x")

SERVERS: Final[Mapping[str, Server]] = {
    "eBay": Server(in_header, grant(token_type="Application Access Token", expires_in=7200)),
    "MTN MoMo": Server(in_header, grant(token_type="access_token")),
    "Apigee": Server(in_header, grant(token_type="BearerToken", expires_in="1799", issued_at="1700000000000")),
    "Twitch": Server(in_body, grant(token_type="bearer", scope=["channel:read:polls"], expires_in=5011271)),
    "CrowdStrike": Server(in_body, grant(token_type="bearer", expires_in=1799), status=201),
    "Entra v1": Server(
        lambda asked: in_header(asked) and asked.form.get("resource") == GUID,
        grant(expires_in="3599", ext_expires_in="3599", expires_on="1700003599", resource=GUID),
    ),
    "SharePoint": Server(
        lambda asked: in_body(asked, "my-client-id@realm") and asked.form.get("resource") == SITE,
        grant(expires_in="86399", not_before="1700000000", expires_on="1700086399", resource=SITE),
        client_id="my-client-id@realm",
    ),
    "Walmart": Server(
        lambda asked: (
            in_header(asked)
            and asked.headers.get("wm_svc.name") == "Walmart Marketplace"
            and len(asked.headers.get("wm_qos.correlation_id", "")) == 36
        ),
        grant(expires_in=900),
    ),
    "WSO2": Server(
        lambda asked: in_header(asked) and asked.headers.get("x-wso2-tenant") == "blue", grant(scope="default")
    ),
    "GigaChat": Server(
        lambda asked: (
            in_header(asked)
            and len(asked.headers.get("rquid", "")) == 36
            and asked.form.get("scope") == "GIGACHAT_API_PERS"
        ),
        in_milliseconds,
    ),
    "Marketing Cloud": Server(
        lambda asked: (
            asked.json
            == {
                "grant_type": "client_credentials",
                "client_id": "my-client-id",
                "client_secret": "my-client-secret",
                "account_id": "12345",
            }
        ),
        grant(expires_in=1079, scope="email_read", rest_instance_url="https://mc.example/"),
    ),
    "Airtel": Server(
        lambda asked: asked.json.get("client_secret") == "my-client-secret",
        grant(token_type="bearer", expires_in="180"),
    ),
    "M-Pesa": Server(
        lambda asked: (
            asked.method == "GET"
            and asked.query == {"grant_type": "client_credentials"}
            and asked.basic == ("my-client-id", "my-client-secret")
        ),
        grant(token_type=None, expires_in="3599"),
    ),
    "Zoom": Server(
        lambda asked: (
            asked.basic == ("my-client-id", "my-client-secret")
            and asked.form == {"grant_type": "account_credentials", "account_id": "my-account-id"}
        ),
        grant(token_type="bearer", scope="user:read:admin", api_url="https://api.example"),
    ),
    "SAP XSUAA": Server(
        lambda asked: in_header(asked, *SAP), grant(token_type="bearer", expires_in=43199, jti="1"), 200, *SAP
    ),
    "hh.ru": Server(
        lambda asked: in_body(asked) and "@" in asked.headers.get("hh-user-agent", ""),
        grant(token_type="bearer", expires_in=None),
    ),
    "Salesforce": Server(
        in_header, grant(expires_in=None, instance_url="https://my.example", id="https://login.example/id/1")
    ),
    "an envelope": Server(in_header, lambda: {"code": 0, "message": "ok", "data": grant()()}),
    "a form": Server(in_header, lambda: urlencode({"access_token": TOKEN, "token_type": "bearer", "expires_in": 60})),
}
