"""The functional core: values in, values out, and nothing of the world in between.

No clock, dice, lock, thread, socket, file, environment or log is named in here; a test over the syntax trees says so.
The time, randomness and earlier failures are arguments, and a server's misbehaviour comes out as a value. In the order
in which to read it:

- `model`: the values and their unions, named after RFC 6749; `secret`: the wrapper that shows nothing.
- `client`: what is wrong with a client's registration; `request`: client to token request and cache key.
- `response`, `refusal`: token response to `Granted | Refused | Malformed`; `redaction`: what may be shown of it.
- `state`: what is known of one client's token, ordered by when it was asked for, and `merge`, the one transition.
- `lifecycle`: what a caller gets (`decide`), when a token is renewed and ends, how long a gate stays shut.
- `acquisition`: how a token is obtained where memory has none, as a coroutine of commands.
- `removal`: how a cache is made to forget a token, in the same commands.
- `entry`: state to the text kept in a cache, and back.
- `metadata`: issuer to the URLs of its metadata (RFC 8414), and their answers to the token endpoint.

The shell beside it (`_shell`) performs what the core decides. `base` is what both strategies share: a call is served
from memory, or joins a flight and waits. `flight` is one request under way; `driver` performs its commands in a thread
of ours; `active` holds the state and the newest flight in two chains of links, so that no caller takes a lock.
"""
