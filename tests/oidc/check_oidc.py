"""Seen against a real identity server, oidc-provider on Node: `make oidc`, which needs node, npm and a network.

It is no part of `make test`. Where node or npm is missing, or oidc-provider cannot be installed, it is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from client_credentials import (
    ClientAuthentication,
    ClientCredentialsStrategy,
    SdkConfiguration,
    TokenRefused,
    Urllib3Fetch,
)
from client_credentials.assertions import AssertionFile, PrivateKeyJwt

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "client-credentials-oidc"
ODD = {
    "plain": "s3cret",
    "colon:percent%": 'p:q%r+s "\\/&=~',
    "space and plus+": "a b+c d%20e%2B",
    "base64": "u/8+Zm9vYmFy+Q==",
}
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def installed() -> Path:
    """Install oidc-provider outside the repository, once."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are needed for oidc-provider")
    if not (CACHE / "node_modules" / "oidc-provider").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), "oidc-provider@8"]
        if subprocess.run(install, check=False, capture_output=True).returncode:
            pytest.skip("npm could not install oidc-provider")
    return CACHE


def client(client_id: str, method: str, **more: Any) -> dict[str, Any]:
    """Register a client for the client-credentials grant alone."""
    return {
        "client_id": client_id,
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "response_types": [],
        **more,
    }


@pytest.fixture(scope="module")
def authority() -> Any:
    """Give the authority of server and clients."""
    return trustme.CA()


@pytest.fixture(scope="module")
def url(authority: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Run the server; give its token endpoint."""
    folder = installed()
    jwk = json.loads(RSAAlgorithm.to_jwk(KEY.public_key()))
    clients = [
        *(client(name, "client_secret_basic", client_secret=secret) for name, secret in ODD.items()),
        client("signing", "private_key_jwt", jwks={"keys": [{**jwk, "kid": "key-1", "use": "sig"}]}),
        client("certified", "tls_client_auth", tls_client_auth_san_dns="client.example"),
    ]
    certificate = authority.issue_cert("localhost")
    configuration = tmp_path_factory.mktemp("oidc") / "configuration.json"
    chain = certificate.private_key_and_cert_chain_pem.bytes().decode()
    configuration.write_text(
        json.dumps({"clients": clients, "chain": chain, "ca": authority.cert_pem.bytes().decode()})
    )
    command = ["node", str(Path(__file__).with_name("provider.mjs")), str(folder), str(configuration)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as node:
        assert node.stdout is not None
        assert node.stdin is not None
        port = next((line for line in node.stdout if line.strip().isdigit()), b"").decode().strip()
        yield f"https://localhost:{port}/token"
        node.stdin.close()


@pytest.fixture
def context(authority: Any) -> ssl.SSLContext:
    """Trust the server."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def granted(strategy: ClientCredentialsStrategy, context: ssl.SSLContext) -> bool:
    """Ask for a token."""
    strategy.set_configuration(SdkConfiguration(fetch=Urllib3Fetch(ssl_context=context, trust_env=False)))
    return bool(strategy.get_or_create_access_token().access_token)


@pytest.mark.parametrize("client_id", ODD)
def test_client_secret_basic(url: str, context: ssl.SSLContext, client_id: str) -> None:
    """RFC6749-2.3.1: ids and secrets with odd characters are read as they are."""
    assert granted(ClientCredentialsStrategy(client_id, ODD[client_id], token_url=url), context)


def test_a_wrong_secret(url: str, context: ssl.SSLContext) -> None:
    """The server's no is its own."""
    with pytest.raises(TokenRefused, match="invalid_client"):
        granted(ClientCredentialsStrategy("plain", "another", token_url=url), context)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_private_key_jwt(url: str, context: ssl.SSLContext, algorithm: str, tmp_path: Path) -> None:
    """RFC7523-2.2: an assertion signed for each request, with the key as text and out of a file."""
    (tmp_path / "key.pem").write_text(PEM)
    for key in (PEM, tmp_path / "key.pem"):
        sign = PrivateKeyJwt(key, client_id="signing", audience=url, algorithm=algorithm, key_id="key-1")
        strategy = ClientCredentialsStrategy(
            "signing", sign, token_url=url, client_authentication=ClientAuthentication.ASSERTION
        )
        for _ in range(2):  # each with its own jti, which the server does not take twice
            assert granted(strategy, context)
            strategy.remove_access_token()


def test_an_assertion_in_a_file(url: str, context: ssl.SSLContext, tmp_path: Path) -> None:
    """What a platform keeps in a file does the same."""
    sign = PrivateKeyJwt(PEM, client_id="signing", audience=url, algorithm="RS256")
    (tmp_path / "token").write_text(sign())
    read = AssertionFile(tmp_path / "token")
    assert granted(
        ClientCredentialsStrategy("signing", read, token_url=url, client_authentication=ClientAuthentication.ASSERTION),
        context,
    )


def test_a_certificate(url: str, context: ssl.SSLContext, authority: Any) -> None:
    """RFC8705-2.1: the certificate is the proof; without it the server says no."""
    strategy = ClientCredentialsStrategy(
        "certified", None, token_url=url, client_authentication=ClientAuthentication.TLS
    )
    with pytest.raises(TokenRefused, match="invalid_client"):
        granted(strategy, context)
    authority.issue_cert("client.example").configure_cert(context)
    strategy = ClientCredentialsStrategy(
        "certified", None, token_url=url, client_authentication=ClientAuthentication.TLS
    )
    assert granted(strategy, context)
