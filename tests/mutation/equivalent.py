"""The mutants that no test can kill, or that none needs to, and why."""

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {
    "both sides do the same where the two are equal": (
        "file._discard: ...ITE if name.endswith('.tmp') else 0.0) <[ -> =] now:",
        "file.FileCachingStrategy.lock: if held.until <[ -> =] time.monotonic():",
        "_circuit_breaker.CircuitBreaker.settle: is_quick = failure is None and waited <[= -> ] _QUICK",
        "_circuit_breaker.Future.wait: ...lowed and ((began := time.monotonic()) <[ -> =] end):",
        (
            "_circuit_breaker.Future.wait: while not self.is_done and waited <[ -> =] self.allowed and"
            " ((began := time.monoto..."
        ),
        "bounded._set_in_time: if time.monotonic() - began >[ -> =] BUDGET:",
        "redis._Entries.set: if passed <[= -> ] _LATEST:",
        "verdict._tls_reason: if time.time() <[ -> =] _YEAR_2025:",
        "wire.Exchange.left: if left <[= -> ] 0:",
        "lifecycle.begin: moment = now if youngest >[= -> ] _TICK else now.earlier(youngest).later(...",
    ),
    "XXXX is as wrong there as the empty text is: no number, date, media type, origin or name of a host in use": (
        "client.check_endpoint: parts, port = (urlsplit('[ -> XXXX]'), None)",
        "client.check_endpoint: ...ttp' and is_loopback(parts.hostname or '[ -> XXXX]'))):",
        "refusal._retry_after: ...t = (response.header('Retry-After') or '[ -> XXXX]').strip()",
        "refusal._reset: text = (response.header(name) or '[ -> XXXX]').strip()",
        "refusal._from_now: ...red = _date(response.header('Date') or '[ -> XXXX]')",
        "refusal.kind_of: ...tch(response.header('Content-Type') or '[ -> XXXX]')",
        "response.status_failure: ...'[?#]', response.header('Location') or '[ -> XXXX]')[0])",
        "redaction.needles: ...secret, *others) if value == secret != '[ -> XXXX]' or len(value) >= _SHORTEST]",
        "response._read: ...sponse.headers.get('Content-Encoding', '[ -> XXXX]').lower().split(',')",
        (
            "proxy.proxy_from_environment: ...s_excepted(endpoint, proxies.get('no', '[ -> XXXX]')) or"
            " proxy_bypass(f'{endpoint.name}:{e..."
        ),
        "file.FileCachingStrategy.__init__: name = [None -> '']",
    ),
    "no secret is looked for across two texts of a member": (
        "redaction._text_of: return '[\\n -> XX\\nXX]'.join(said)",
    ),
    "no token, no age": ("lifecycle.decide: ...lapsed(held.asked.at, now) if held else [0 -> 1].0",),
    "a character more is looked at": ("redaction.Hidden._cut: near = text[:longest + [256 -> 257]]",),
    "a key is a digest of any other form as well": (
        (
            "request.cache_key: ...ted(client.extra_params), sorted(((name.[lower -> upper](), value) for name, value"
            " in client.hea..."
        ),
        "request.cache_key: lasting = '[ -> XXXX]' if client.authentication is ClientAuth...",
    ),
    "an empty text is as false as None": ("base.BaseStrategy._join: failure = [None -> '']",),
    "the backoff is a minute by then; four characters are no piece": (
        "lifecycle.failed: ...ered else 5.0) * 2.0 ** min(streak - 1, [10 -> 11]), _LONGEST_BACKOFF)",
        "request._needles: ...messages, (*public, client.audience or '[ -> XXXX]'))",
    ),
    "the value is replaced, or leads to the same error, before anybody reads it": (
        "acquisition._look_and_lock: look: Done[State] | None = [None -> '']",
        "base.BaseStrategy.__init__: wrong = ['' -> None]",
        "identity.wrapped: secrets = [() -> None]",
    ),
    "a machine that ends a flight, or removes, sends no request": (
        "driver.Driver.drive: ...hable(reason=reason, retryable=False)), [fetch -> None])",
        "driver.Driver.perform: run_sync(self._follow(machine, [self._active.configuration.fetch -> None]))",
    ),
    "no caller waits any more for what this says": (
        "acquisition.acquire: ...Settle(Fail(timed_out(policy.deadline), [0.0 -> None]))",
        "acquisition.acquire: ...Settle(Fail(timed_out(policy.deadline), [0 -> 1].0))",
    ),
    "the wall clock is never at infinity, so that one bound alone makes the span empty": (
        "active.Lease.__init__: self.until = [-math.inf -> None]",
        "active.Lease.__init__: self.until = [-math -> math].inf",
    ),
    "the flight before the first is settled, and nobody counts it or is part of it": (
        "active.ActiveConfiguration.__init__: self.flight = Flight(self, [0 -> 1].0)",
        "active.ActiveConfiguration.__init__: self.flight.is_over = [True -> None]",
        "active.ActiveConfiguration.__init__: self.flight.is_over = [True -> False]",
    ),
    "CPython closes at once what nobody refers to any more, and with it gives back a lock or ends a connection": (
        "driver.Driver._give_back: without unlock()",
        "driver.Driver.perform: without self._give_back()",
        "transport.OwnConnection._send_through_pool: without pool.clear()",
    ),
    "one look in the cache more, before the request was sent, finds nothing new": (
        "flight.Flight.__init__: self.has_asked = [False -> True]",
        "base.BaseStrategy._join: if flight.has_asked [and -> or] active.cache is not None:",
    ),
    "there is nothing after the loop": (
        "flight._wait_for_publications: [break -> return]",
        "file.FileCachingStrategy._seize: [break -> return]",
    ),
    "a thousandth of a time, or of a second, is neither here nor there": (
        "redis._Entries.set: ...ssed = int((time.monotonic() - began) * [1000 -> 1001])",
        "redis._Entries.lock: ...', _LOCK, 1, name, owner, max(int(ttl * [1000 -> 1001]), 1)))",
        "redis._Entries.lock: ...K, 1, name, owner, max(int(ttl * 1000), [1 -> 2])))",
    ),
    "the text of this error is for whoever breaks the machine": (
        "driver.Driver._perform: raise TypeError([command -> None])",
    ),
    "the method decides how long a body is, and the body of this answer is not read": (
        "proxy.open_tunnel: ...nse(cast('socket.socket', wire), method=['CONNECT' -> None])) as answer:",
        "proxy.open_tunnel: ...inalResponse(cast('socket.socket', wire)[, method='CONNECT' -> ])) as answer:",
        "proxy.open_tunnel: ...se(cast('socket.socket', wire), method='[CONNECT -> XXCONNECTXX]')) as answer:",
    ),
    "the name is in small letters by then": (
        (
            "proxy._matches: ...t, name = (endpoint.name.lower().strip('[. -> XX.XX]'), found['address'] or"
            " found['name'].re..."
        ),
        "proxy._matches: ... found['name'].removeprefix('*').strip('[. -> XX.XX]'))",
        "wire.Wire.start_tls: ...elf._sock, server_hostname=host.rstrip('[. -> XX.XX]')), None)",
    ),
    "only the class of the exception is looked at": (
        "response._read: raise IncompleteRead([b'' -> None])",
        "response._read: raise IncompleteRead(b'[ -> XXXX]')",
    ),
    "with retries=False urllib3 gives a redirect as it is": (
        (
            "transport.UsersPool._post: ...body, headers=request.headers, redirect=[False -> True], retries=False,"
            " preload_content=False, ..."
        ),
    ),
    "no body that is labelled as compressed is read, so that nothing is decoded": (
        (
            "transport.UsersPool._post: ..., preload_content=False, decode_content=[False -> True],"
            " timeout=urllib3.Timeout(total=left), p..."
        ),
        "transport._response: ..., preload_content=False, decode_content=[False -> True])",
    ),
    "any number but 0 switches it on": ("wire._connected: ...socket.IPPROTO_TCP, socket.TCP_NODELAY, [1 -> 2])",),
    "a second after 1970 is as long past as 1970 is": (
        "file.FileCachingStrategy.set: ...y.set_end(temporary, min(max(now + ttl, [0 -> 1].0), _LATEST))",
    ),
    "six times as much would do": (
        "transport.OwnConnection._send: exchange.allowance = [8 -> 9] * self._max_body + HEAD_BYTES",
    ),
    "either form raises where there was no handshake": (
        "wire.Wire.start_tls: self._sock.getpeercert(binary_form=[True -> None])",
        "wire.Wire.start_tls: self._sock.getpeercert([binary_form=True -> ])",
        "wire.Wire.start_tls: self._sock.getpeercert(binary_form=[True -> False])",
    ),
    "its path leads to the same error": ("_directory._open: without raise _not_a_directory(path) from None",),
    "a name that nobody else has is as good with a byte more": (
        "redis._Entries.lock: ...(self._name(key) + b':lock', os.urandom([16 -> 17]).hex())",
    ),
    "the name of an operation is only told from the others": (
        "bounded.BoundedCache.lock: self._breaker.settle(['lock' -> None], future)",
        "bounded.BoundedCache.lock: self._breaker.settle('[lock -> XXlockXX]', future)",
        "bounded.BoundedCache.lock: is_known = self._breaker.settle(['lock' -> None], taken)",
        "bounded.BoundedCache.lock: is_known = self._breaker.settle('[lock -> XXlockXX]', taken)",
        (
            "bounded.BoundedCache.get: return self._breaker.call(['get' -> None], partial(_checked_entry, self._cache,"
            " k..."
        ),
        "bounded.BoundedCache.remove: self._breaker.call(['remove' -> None], partial(self._cache.remove, key))",
        "bounded.BoundedCache.set: self._breaker.call(['set' -> None], partial(_set_in_time, self._cache, key...",
        (
            "bounded.BoundedCache.get: return self._breaker.call('[get -> XXgetXX]', partial(_checked_entry,"
            " self._cache, ..."
        ),
        "bounded.BoundedCache.set: self._breaker.call('[set -> XXsetXX]', partial(_set_in_time, self._cache, ke...",
        "bounded.BoundedCache.remove: self._breaker.call('[remove -> XXremoveXX]', partial(self._cache.remove, key))",
    ),
    "on Windows one byte is locked, or two: nobody reads or writes them": (
        "_locks.try_lock: ...rt.locking(descriptor, msvcrt.LK_NBLCK, [1 -> 2])",
        "_locks.unlock: ...rt.locking(descriptor, msvcrt.LK_UNLCK, [1 -> 2])",
    ),
}
"""The reason, and the mutants for which it holds, as the report names them."""
