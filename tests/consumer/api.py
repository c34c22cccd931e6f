"""An API client of the consumer's that is given a strategy, or makes one for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from client_credentials import (
    AuthStrategy,
    CachingStrategy,
    ClientAuthentication,
    ClientCredentialsStrategy,
    Clock,
    RenewalPolicy,
    SdkConfiguration,
    TokenError,
    TokenRefused,
    TokenRequest,
    TokenResponse,
    Urllib3Fetch,
)


class Api:
    """Makes the headers of the requests to an API."""

    def __init__(self, strategy: AuthStrategy) -> None:
        self._strategy = strategy

    @classmethod
    def of_client(
        cls,
        client_id: str,
        client_secret: str,
        token_url: str,
        *,
        cache: CachingStrategy,
        clock: Clock,
        log: list[str],
    ) -> Self:
        """Make a strategy with every collaborator replaced, and an API client with that."""
        send = Urllib3Fetch(trust_env=False)

        def fetch(request: TokenRequest) -> TokenResponse:
            log.append(request.method)
            return send(request)

        def note(error: TokenError) -> None:
            log.append(type(error).__name__)

        strategy = ClientCredentialsStrategy(
            client_id,
            lambda: client_secret,
            token_url=token_url,
            scopes=["read", "write"],
            client_authentication=ClientAuthentication.POST,
            policy=RenewalPolicy(renew_ahead=60, deadline=5),
        )
        strategy.set_configuration(
            SdkConfiguration(fetch=fetch, error_handler=note, caching_strategy=cache, clock=clock)
        )
        return cls(strategy)

    def headers(self) -> Mapping[str, str]:
        """Give the headers of a request; none if the client is not allowed to make one."""
        try:
            token = self._strategy.get_or_create_access_token()
        except TokenRefused as refused:
            return {"X-Refused": refused.error or str(refused.status)}
        return {"Authorization": token.authorization, "X-Scope": token.scope or ""}

    def log_out(self) -> bool:
        """Forget the token; tells whether it is gone."""
        self._strategy.remove_access_token()
        return self._strategy.get_access_token() is None
