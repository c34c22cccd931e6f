"""Access tokens in the idiom of other HTTP libraries, one module for each; nothing is imported until one is named.

A bearer (`BearerAuth`, or `bearer` for aiohttp) sends the strategy's token with each request, for any number of
threads, tasks, event loops and clients.

- A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent, unless it was granted
  less than ten seconds ago: its successor would be refused too. The request is then sent once more with a new token,
  unless there is no other or the body cannot be sent again. The caller gets the last answer, and a 403 as it is.
- Where no new token can be had the TokenError is raised, not the 401 returned: it says who failed, and when to retry.
- The token goes over https or to a loopback host; any other URL is a ValueError at the request, unless `allow_http` is
  true (for a service mesh that encrypts).
- It goes only to the origin of the first request, whatever redirects say. With `origin`, such as "https://api.example",
  requests to other origins carry no token; without, a client that has a bearer should speak to one API only.
  (requests, httpx and httpx2 keep the header from http to https on the same host, both on their default ports; a 401
  from there is not answered with a token.)
- An asynchronous client takes either kind of strategy; a synchronous one is called in a thread, so that it never blocks
  the event loop. A synchronous client takes a synchronous one.

A fetch (`RequestsFetch`, `HttpxFetch`, `AsyncHttpxFetch`, `AiohttpFetch`) sends the token request through the program's
own client: `SdkConfiguration(fetch=HttpxFetch(client))`. A compressed body is refused, and nothing is retried but what
the client's transport retries.

Recipes for what needs no module; `strategy` is yours.

gRPC call credentials::

    import grpc

    class Bearer(grpc.AuthMetadataPlugin):
        def __call__(self, context, callback):
            try:
                token = strategy.get_or_create_access_token()
            except Exception as error:
                callback((), error)
            else:
                callback((("authorization", token.authorization),), None)

    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), grpc.metadata_call_credentials(Bearer())
    )

Kafka OAUTHBEARER, with confluent-kafka::

    from confluent_kafka import Consumer

    def oauth_cb(_):
        token = strategy.get_or_create_access_token()
        return token.access_token, token.expires / 1000  # seconds since the epoch

    consumer = Consumer({
        "bootstrap.servers": "kafka.example:9093", "group.id": "orders",
        "security.protocol": "SASL_SSL", "sasl.mechanisms": "OAUTHBEARER", "oauth_cb": oauth_cb,
    })

FastAPI lifespan; `request.app.state.api` is a client with a token::

    from contextlib import asynccontextmanager

    import httpx
    from fastapi import FastAPI
    from client_credentials.integrations.httpx import BearerAuth

    @asynccontextmanager
    async def lifespan(app):
        async with httpx.AsyncClient(auth=BearerAuth(strategy, origin="https://api.example")) as api:
            app.state.api = api
            yield

    app = FastAPI(lifespan=lifespan)

Celery and gunicorn fork their workers: make the strategy in the module, before they do; a worker keeps the token::

    from celery import Celery

    app = Celery("orders")

    @app.task
    def authorization():
        return strategy.get_or_create_access_token().authorization

MCP over httpx2::

    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from client_credentials.integrations.httpx2 import BearerAuth

    async def tools(url):
        async with (
            httpx2.AsyncClient(auth=BearerAuth(strategy)) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await client.list_tools()
"""
