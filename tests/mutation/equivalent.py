"""The mutants of the core that no test can kill, and why: they do what the original does."""

from __future__ import annotations

from typing import Final

_CASTS: Final = (
    ("Mapping[object, object]", 'response._refusal: description = cast({}, error).get("message")'),
    ("Mapping[object, object]", "response.interpret: given = cast({}, document)"),
    ("dict[str, object]", "response.decode: return cast({}, document)"),
    ("Mapping[object, object]", "request._extra: for name, value in cast({}, params).items():"),
    ("Collection[object]", "request._several: return cast({}, values)"),
)
_HEADERS: Final = (
    ("WWW-Authenticate", 'response._refusal: www_authenticate=redact(response.header("{}"), hidden),'),
    ("Retry-After", 'response._retry_after: text = (response.header("{}") or "").strip()'),
    ("Date", 'response._retry_after: asked = _date(response.header("{}") or "")'),
    ("Content-Type", 'response.decode: kind = _MEDIA_TYPE.match(response.header("{}") or "")'),
    ("Location", 'response.objection: origin = _ORIGIN.match(response.header("{}") or "")'),
)
_ENCODE: Final = (
    'request.token_request: return TokenRequest("POST", client.token_url, headers,'
    ' urlencode(form).encode("ASCII"), timeout)'
)
_BACKOFF: Final = (
    "lifecycle.backed_off: backoff = min(_FIRST_BACKOFF[failure.retryable]"
    " * 2.0 ** min(streak - 1, 11), _LONGEST_BACKOFF)"
)
_QUOTE: Final = "secret.needles: forms.update(quote(raw, safe=spared) for spared in ({}))"
_DUMPS: Final = (
    "response.discreet: text = json.dumps(value, default=repr, ensure_ascii=None)  # what is not ASCII goes from both"
)

EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {
    "the type named in a cast is for type checkers, and is not looked at when it runs": tuple(
        line.format(became)
        for kind, line in _CASTS
        for became in ("None", f'"XX{kind}XX"', f'"{kind.lower()}"', f'"{kind.upper()}"')
        if became != f'"{kind}"'
    ),
    "a header is looked up in any case": tuple(
        line.format(became) for name, line in _HEADERS for became in (name.lower(), name.upper())
    ),
    "XXXX is no more a number, a date, a media type or an origin than the empty text is": (
        'response._retry_after: text = (response.header("Retry-After") or "XXXX").strip()',
        'response._retry_after: asked = _date(response.header("Date") or "XXXX")',
        'response.decode: kind = _MEDIA_TYPE.match(response.header("Content-Type") or "XXXX")',
        'response.objection: origin = _ORIGIN.match(response.header("Location") or "XXXX")',
    ),
    "an encoding goes by its name in any case": (
        _ENCODE,
        'secret.needles: raw = secret.encode("UTF-8", "surrogatepass")',
        'response.decode: response.body.decode("UTF-8-SIG"),',
        'request._basic: return base64.b64encode(":".join(pair).encode()).decode("ASCII")',
    ),
    "2 ** 10 seconds are far beyond the longest backoff already": (_BACKOFF,),
    "the age of no token is not looked at": ("lifecycle.decide: age = elapsed(held.asked, now) if held else 1.0",),
    "a letter is quoted by nobody": (
        _QUOTE.format('"", "/", "XX!*\'()XX"'),
        _QUOTE.format('"", "XX/XX", "!*\'()"'),
        _QUOTE.format('"XXXX", "/", "!*\'()"'),
    ),
    "where there is no authority, the authority itself is refused": (
        'request._endpoint: host, port = "XXXX", None',
        'request._endpoint: host, port = parts.hostname or "XXXX", parts.port',
        'request._endpoint: parts = urlsplit("XXXX")',
    ),
    "no age is made no age": ("entry.load: if kept.ttl is not None and -_ROUNDED_UP <= age <= 0:",),
    "how an infinite number was written is not looked at": (
        "response._finite: return value if math.isfinite(value) else _not_json(None)",
    ),
    "nothing ever comes to assert_never": (
        "response.hushed: assert_never(None)",
        "response.hushed: without case _: without assert_never(failure)",
    ),
    "None is as false as False": (_DUMPS,),
}
"""The reason, and the mutants for which it holds, as the report names them."""
