"""The mutants of the core that no test can kill, and why: they do what the original does."""

from __future__ import annotations

from typing import Final

_CAST: Final = 'response._refusal: description = cast({}, error).get("message")'
_ENCODE: Final = (
    'request.token_request: return TokenRequest("POST", client.token_url, headers,'
    ' urlencode(form).encode("ASCII"), timeout)'
)
_BACKOFF: Final = (
    "lifecycle.backed_off: backoff = min(_FIRST_BACKOFF[failure.retryable]"
    " * 2.0 ** min(streak - 1, 11), _LONGEST_BACKOFF)"
)
_DUMPS: Final = (
    "response.discreet: text = json.dumps(value, default=repr, ensure_ascii=None)  # what is not ASCII goes from both"
)

EQUIVALENT: Final[dict[str, tuple[str, ...]]] = {
    "the type named in a cast is for type checkers, and is not looked at when it runs": (
        _CAST.format("None"),
        _CAST.format('"XXMapping[object, object]XX"'),
        _CAST.format('"mapping[object, object]"'),
        _CAST.format('"MAPPING[OBJECT, OBJECT]"'),
    ),
    "a header is looked up in any case": (
        'response._refusal: www_authenticate=redact(response.header("www-authenticate"), hidden),',
        'response._refusal: www_authenticate=redact(response.header("WWW-AUTHENTICATE"), hidden),',
        'response._retry_after: text = (response.header("retry-after") or "").strip()',
        'response._retry_after: text = (response.header("RETRY-AFTER") or "").strip()',
        'response._retry_after: asked = _date(response.header("date") or "")',
        'response._retry_after: asked = _date(response.header("DATE") or "")',
    ),
    "XXXX is no more a number or a date than the empty text is": (
        'response._retry_after: text = (response.header("Retry-After") or "XXXX").strip()',
        'response._retry_after: asked = _date(response.header("Date") or "XXXX")',
    ),
    "an encoding goes by its name in any case": (
        _ENCODE,
        'request._basic: return base64.b64encode(":".join(pair).encode()).decode("ASCII")',
    ),
    "2 ** 10 seconds are far beyond the longest backoff already": (_BACKOFF,),
    "the age of no token is not looked at": ("lifecycle.decide: age = elapsed(held.asked, now) if held else 1.0",),
    "None is as false as False": (_DUMPS,),
}
"""The reason, and the mutants for which it holds, as the report names them."""
