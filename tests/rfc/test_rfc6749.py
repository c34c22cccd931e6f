"""RFC 6749, The OAuth 2.0 Authorization Framework: the lines that concern a client of section 4.4."""

from __future__ import annotations

import base64
import json
import pickle
import stat
import traceback
from pathlib import Path

import pytest

from client_credentials import (
    ClientAuthentication,
    FileCachingStrategy,
    SdkConfiguration,
    TokenRefused,
)
from client_credentials.testing import Answer, TokenServer, refusal
from tests.rfc.kit import BY_SECRET, ID, SECRET, basic, make, sent, timed
from tests.shell.kit import settled


class TestClientAuthentication:
    """Section 2.3."""

    def test_the_default(self, server: TokenServer) -> None:
        """RFC6749-2.3.1-2: credentials go into the body only where that is asked for (section 2.3.1)."""
        assert (ID, SECRET) == basic(sent(server))
        asked_for = sent(server, client_authentication=ClientAuthentication.POST)
        assert [("client_id", ID), ("client_secret", SECRET)] == asked_for.form[1:]

    def test_no_empty_secret(self) -> None:
        """RFC6749-2.3.1-4: an empty secret is refused, so none has a parameter to leave out (section 2.3.1)."""
        for way in (*BY_SECRET, ClientAuthentication.ASSERTION):
            with pytest.raises(ValueError, match=r"^client_secret must "):
                make("https://issuer.example/", client_secret="", client_authentication=way)


class TestEndpoint:
    """Section 3.2."""

    def test_each_request_authenticates(self, server: TokenServer) -> None:
        """RFC6749-3.2.1-1: the client authenticates on each token request, a later one as the first (section 3.2.1)."""
        strategy, clock = timed(server)
        server.answer(Answer(), refusal("invalid_client"))
        strategy.get_or_create_access_token()
        clock.advance(3600)
        with pytest.raises(TokenRefused):
            strategy.get_or_create_access_token()
        clock.advance(60)
        strategy.get_or_create_access_token()
        assert [(ID, SECRET)] * 3 == [basic(request) for request in server.requests]


class TestGrant:
    """Section 4.4."""

    def test_confidential_clients_alone(self) -> None:
        """RFC6749-4.4-1: there is no way to use the grant without client authentication (section 4.4)."""
        assert ["BASIC", "BASIC_RAW", "POST", "ASSERTION", "TLS"] == [way.name for way in ClientAuthentication]
        with pytest.raises(ValueError, match=r"^client_secret must "):
            make("https://issuer.example/", client_secret=None)
        with pytest.raises(ValueError, match=r"^client_secret must "):
            make("https://issuer.example/", client_secret="")
        with pytest.raises(ValueError, match=r"^client_authentication must "):
            make("https://issuer.example/", client_authentication=None)


class TestSecurity:
    """Section 10."""

    def test_the_secret_is_confidential(self, server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
        """RFC6749-10.1-1: the secret is in no repr, text, log, exception or pickle (section 10.1)."""
        server.always(refusal("invalid_client", f"Wrong: {SECRET} {base64.b64encode(SECRET.encode()).decode()}"))
        strategy = make(server.url)
        with pytest.raises(TokenRefused) as caught, caplog.at_level("DEBUG"):
            strategy.get_or_create_access_token()
        with pytest.raises(TypeError):
            pickle.dumps(strategy)
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        locals_of_ours = [frame.locals for frame in shown.stack if frame.filename != __file__]
        error = caught.value
        assert locals_of_ours
        seen = [repr(strategy), str(strategy), json.dumps([strategy], default=str), str(error), repr(error)]
        seen += [caplog.text, str(locals_of_ours), pickle.dumps(error).decode("latin-1")]
        assert [] == [text for text in seen if SECRET in text]

    def test_the_token_in_storage(self, server: TokenServer, tmp_path: Path) -> None:
        """RFC6749-10.3-1: a token is confidential in storage: its file is for its owner alone (section 10.3)."""
        strategy = make(server.url)
        strategy.set_configuration(SdkConfiguration(caching_strategy=FileCachingStrategy(tmp_path / "tokens")))
        token = strategy.get_or_create_access_token().access_token
        settled(strategy)
        holding = [path for path in tmp_path.rglob("*") if path.is_file() and token in path.read_text()]
        assert [0o600] == [stat.S_IMODE(path.stat().st_mode) for path in holding]
        assert [] == [path for path in tmp_path.rglob("*") if token in str(path)]
