"""Access tokens in the idiom of other HTTP libraries, one module for each; nothing is imported until one is named.

A bearer (`BearerAuth`, or `bearer` for aiohttp) sends the strategy's token with each request.

- A 401 that says `invalid_token`, or names no error, removes exactly the token that was sent, unless it was granted
  less than ten seconds ago: its successor would be refused too. The request is then sent once more with a new token,
  unless there is no other or the body cannot be sent again. The caller gets the last answer, and a 403 as it is.
- Where no new token can be had the TokenError is raised, not the 401 returned: it is what the next request would raise,
  and it says who failed and when to try again, of which the 401 knows nothing.
- The token goes over https or to a loopback host; any other URL is a ValueError at the request, unless `allow_http` is
  true (for a service mesh that encrypts). It goes only to the origin of the first request, whatever redirects say.
  (The one exception is that of requests, httpx and httpx2: from http to https on the same host, both on their default
  ports, the header stays; a 401 from there is not answered with a token.) With `origin`, such as
  "https://api.example", requests to other origins carry no token; without, a client that has a bearer should speak to
  one API only.
- An asynchronous client takes either kind of strategy; a synchronous one is called in a thread, so that it never blocks
  the event loop. A synchronous client takes a synchronous one.
- One bearer serves any number of threads, tasks, event loops and clients.

A fetch (`RequestsFetch`, `HttpxFetch`, `AsyncHttpxFetch`, `AiohttpFetch`) sends the token request through the program's
own client: `SdkConfiguration(fetch=HttpxFetch(client))`.

- The client decides on connections, TLS and proxies; its auth, redirects, headers and cookies do not count. (Only
  aiohttp sends its headers and cookies with every request.)
- At most 1 MiB of a body is read, and a compressed one is refused. Nothing is retried but what the client's transport
  retries.
- `request.timeout`, in seconds, bounds the exchange; only headers that drip can outlast it, in a synchronous client.
- It raises TokenEndpointUnreachable or InvalidTokenResponse, as Urllib3Fetch does for the same event.
"""
