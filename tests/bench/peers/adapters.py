"""Every library of the comparison, by its own public way to a good token: `make(url)`, then `get()`, over and over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import urlencode

# The libraries are there only in the virtual environment of the comparison, so the type checkers see none of them. A
# process that wants one token imports this module, too: so it imports none of them, nor what they may not need.

CLIENT: Final = ("my-client", "my-secret")
BASIC: Final = "Basic bXktY2xpZW50Om15LXNlY3JldA=="
GRANT: Final = {"grant_type": "client_credentials"}
API: Final = "https://api.example.com/"

Age: TypeAlias = tuple[int, float]
"""The lifetime of a token, in seconds, and after how many of them it is looked at."""

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # requests-oauthlib's word for a token endpoint on loopback


class Adapter(Protocol):
    """One client of one library."""

    @property
    def get(self) -> Callable[[], object]:
        """What a program calls before each request to its API; raises whatever the library does."""
        ...


class Library(NamedTuple):
    """What is measured: how it is made for a token endpoint, and what else has to be known of it."""

    name: str
    package: str
    """As it is installed."""
    modules: str
    """What a program imports."""
    make: Callable[[str], Adapter]
    stale: Age
    """An age at which the library renews a token that the endpoint still takes, if it ever does so."""
    expired: Age = (1, 2.1)
    jump: Callable[[Any, float], None] | None = None
    """Lets so many seconds pass for a client whose clock may be chosen."""

    @property
    def says(self) -> str:
        """What of the library is measured."""
        return (self.make.__doc__ or "").strip()


class Ours:
    """ClientCredentialsStrategy with its defaults."""

    def __init__(self, url: str) -> None:
        strategy: Any = import_module("client_credentials").ClientCredentialsStrategy(*CLIENT, token_url=url)
        self.get: Callable[[], object] = strategy.get_or_create_access_token


class Authlib:
    """An OAuth2Session that renews by itself, once it has had a token."""

    def __init__(self, url: str) -> None:
        session = import_module("authlib.integrations.requests_client").OAuth2Session
        self._session: Any = session(*CLIENT, token_endpoint=url, grant_type=GRANT["grant_type"])

    def get(self) -> object:
        """Ask as its auth handler does before each request."""
        session = self._session
        if not session.token:
            session.fetch_token()
        session.ensure_active_token(session.token)
        return session.token["access_token"]


class Botocore:
    """Its refreshable token, with its own HTTP session as the way to refresh: it knows no client-credentials grant."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._passed = timedelta()
        self._session: Any = import_module("botocore.httpsession").URLLib3Session(
            verify=os.environ.get("REQUESTS_CA_BUNDLE", True)
        )
        self._request: Any = import_module("botocore.awsrequest").AWSRequest
        tokens = import_module("botocore.tokens")
        self._token: Any = tokens.FrozenAuthToken
        refreshable: Any = tokens.DeferredRefreshableToken("grant", self._refresh, time_fetcher=self._now)
        self.get: Callable[[], object] = refreshable.get_frozen_token

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def _refresh(self) -> object:
        headers = {"Authorization": BASIC, "Content-Type": "application/x-www-form-urlencoded"}
        request = self._request("POST", self._url, headers, urlencode(GRANT)).prepare()
        response = self._session.send(request)
        if response.status_code != 200:
            raise ConnectionError(response.status_code)
        answer = json.loads(response.content)
        return self._token(answer["access_token"], self._now() + timedelta(seconds=answer["expires_in"]))

    def jump(self, seconds: float) -> None:
        """Let its clock, which may be chosen, run ahead: it refreshes once a minute at most."""
        self._passed += timedelta(seconds=seconds)


class Google:
    """google-auth's credentials with its background refresh and transport: it knows no client-credentials grant."""

    def __init__(self, url: str) -> None:
        self._credentials: Any = _google_credentials()()
        self._credentials.url = url
        self._credentials.with_non_blocking_refresh()
        self._request: Any = import_module("google.auth.transport.requests").Request()

    def get(self) -> object:
        """Sign a request: the credentials have no other way to a token that is good."""
        headers: dict[str, str] = {}
        self._credentials.before_request(self._request, "GET", API, headers)
        return headers["authorization"]


@cache
def _google_credentials() -> Any:
    """Make the class, of the base that google-auth has for it."""
    exceptions = import_module("google.auth.exceptions")

    def refresh(credentials: Any, request: Any) -> None:
        headers = {"Authorization": BASIC, "Content-Type": "application/x-www-form-urlencoded"}
        response = request(url=credentials.url, method="POST", body=urlencode(GRANT), headers=headers)
        if response.status != 200:
            raise exceptions.RefreshError(str(response.status))
        answer = json.loads(response.data)
        credentials.token = answer["access_token"]
        credentials.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=answer["expires_in"])

    base: Any = import_module("google.auth.credentials").Credentials
    return type("ClientCredentials", (base,), {"refresh": refresh})


class HttpxAuth:
    """OAuth2ClientCredentials, whose tokens are in a cache of the whole process."""

    def __init__(self, url: str) -> None:
        library = import_module("httpx_auth")
        library.OAuth2.token_cache.clear()
        self._auth: Any = library.OAuth2ClientCredentials(url, *CLIENT)
        self._request: Any = import_module("httpx").Request("GET", API)

    def get(self) -> object:
        """Sign a request: the handler has no other way to a token."""
        return next(self._auth.auth_flow(self._request))


class Msal:
    """A confidential client of a directory whose discovery costs no request, and whose endpoint speaks plain http."""

    def __init__(self, url: str) -> None:
        client_id, secret = CLIENT
        client: Any = import_module("msal").ConfidentialClientApplication(
            client_id, client_credential=secret, oidc_authority=_Directory.AUTHORITY, http_client=_Directory(url)
        )
        self._acquire: Any = partial(client.acquire_token_for_client, [API + ".default"])

    def get(self) -> object:
        """Acquire a token; a failure is an answer without one."""
        answer = self._acquire()
        if "access_token" not in answer:
            raise LookupError(answer.get("error"))
        return answer["access_token"]


class _Directory:
    """MSAL's HTTP client, as a program may bring its own."""

    AUTHORITY: ClassVar = "https://localhost/tenant"

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: Any = import_module("requests").Session()

    def get(self, _: str, **__: object) -> object:
        """Answer the discovery."""
        endpoints = dict.fromkeys(("token_endpoint", "authorization_endpoint"), f"{self.AUTHORITY}/token")
        text = json.dumps({"issuer": self.AUTHORITY, **endpoints})
        return SimpleNamespace(status_code=200, text=text, headers={})

    def post(self, _: str, **arguments: Any) -> Any:
        """Send the token request."""
        return self._session.post(self._url, **arguments)

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class RequestsOauth2client:
    """OAuth2ClientCredentialsAuth, on a request that is prepared once."""

    def __init__(self, url: str) -> None:
        library = import_module("requests_oauth2client")
        client = library.OAuth2Client(token_endpoint=url, auth=CLIENT, testing=True)
        request: Any = import_module("requests").Request("GET", API).prepare()
        self.get: Callable[[], object] = partial(library.OAuth2ClientCredentialsAuth(client), request)


class RequestsOauthlib:
    """OAuth2Session, which renews only with a refresh token: else a program fetches a new one, as its manual says."""

    def __init__(self, url: str) -> None:
        library = import_module("oauthlib.oauth2")
        self._expired: Any = library.TokenExpiredError
        self._client: Any = library.BackendApplicationClient(CLIENT[0])
        self._session: Any = import_module("requests_oauthlib").OAuth2Session(client=self._client)
        self._fetch: Any = partial(self._session.fetch_token, url, client_secret=CLIENT[1])

    def get(self) -> object:
        """Sign a request as the session does."""
        if not self._session.token:
            self._fetch()
        try:
            return self._client.add_token(API)
        except self._expired:
            return self._fetch()


class SpotifySdk:
    """ClientCredentials, with its token endpoint bent."""

    def __init__(self, url: str) -> None:
        auth: Any = import_module("spotify_sdk._sync.auth")
        auth.TOKEN_URL = url
        self.get: Callable[[], object] = auth.ClientCredentials(*CLIENT).get_access_token


class Spotipy:
    """SpotifyClientCredentials, with its token endpoint bent, and in memory instead of in a file."""

    def __init__(self, url: str) -> None:
        handler = import_module("spotipy.cache_handler").MemoryCacheHandler()
        manager: Any = import_module("spotipy.oauth2").SpotifyClientCredentials(*CLIENT, cache_handler=handler)
        manager.OAUTH_TOKEN_URL = url
        self.get: Callable[[], object] = partial(manager.get_access_token, as_dict=False)


class Tekore:
    """RefreshingCredentials, with its token endpoint bent."""

    def __init__(self, url: str) -> None:
        client: Any = import_module("tekore._auth.expiring.client")
        client.OAUTH_TOKEN_URL = url
        self._credentials: Any = import_module("tekore").RefreshingCredentials(*CLIENT)
        self._token: Any = None

    def get(self) -> object:
        """Read the refreshing token, which the first caller asks for."""
        if self._token is None:
            self._token = self._credentials.request_client_token()
        return self._token.access_token


OURS: Final = Library("ours", "client-credentials", "client_credentials", Ours, stale=(10, 6.1))
PEERS: Final = (
    Library("Authlib", "Authlib", "authlib.integrations.requests_client", Authlib, stale=(50, 0)),
    Library(
        "botocore",
        "botocore",
        "botocore.tokens botocore.httpsession botocore.awsrequest",
        Botocore,
        stale=(3600, 2800),
        expired=(3600, 3700),
        jump=Botocore.jump,
    ),
    Library(
        "google-auth", "google-auth", "google.auth.credentials google.auth.transport.requests", Google, stale=(200, 0)
    ),
    Library("httpx-auth", "httpx-auth", "httpx_auth", HttpxAuth, stale=(29, 0)),
    Library("MSAL", "msal", "msal", Msal, stale=(250, 0)),
    Library(
        "requests_oauth2client", "requests-oauth2client", "requests_oauth2client", RequestsOauth2client, stale=(19, 0)
    ),
    Library(
        "requests-oauthlib",
        "requests-oauthlib",
        "requests_oauthlib oauthlib.oauth2",
        RequestsOauthlib,
        stale=(1, 2.1),
    ),
    Library("spotify-sdk", "spotify-sdk", "spotify_sdk.auth", SpotifySdk, stale=(29, 0)),
    Library("spotipy", "spotipy", "spotipy.oauth2", Spotipy, stale=(50, 0)),
    Library("tekore", "tekore", "tekore", Tekore, stale=(50, 0)),
)
LIBRARIES: Final[Mapping[str, Library]] = {library.name: library for library in (OURS, *PEERS)}
