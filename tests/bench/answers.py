"""`python -m tests.bench.answers` prints what the worst answers of a mebibyte cost beside json.loads."""

from __future__ import annotations

import base64
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from client_credentials import ClientAuthentication, SdkConfiguration, TokenResponse
from client_credentials._core.client import make_client
from client_credentials._core.secret import Secret
from client_credentials._shell.driver import run_sync
from client_credentials._shell.request import attempt

MOST_SECONDS: Final = 0.05
MOST_BYTES: Final = 16 * 2**20
_SIZE: Final = 2**20
_SECRET: Final = "a-secret-of-forty-characters-is-the-usual"  # nobody's
_CLIENT: Final = make_client(
    "my-client",
    token_url="https://issuer.example/token?key=gateway-key-0123456789",
    scopes=("orders.read",),
    audience=None,
    resources=(),
    extra_params={"vault": "vault-password-abcdef"},
    authentication=ClientAuthentication.BASIC,
)
_SOUND: Final = '"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600'


def filled(head: str, part: str, tail: str, between: str = ",") -> bytes:
    """Fill a mebibyte with as many parts as fit; `#` in a part counts them."""
    room, parts = _SIZE - len(head) - len(tail), list[str]()
    for number in range(_SIZE):
        text = part.replace("#", f"{number:x}")
        room -= len(text) + len(between)
        if room < 0:
            break
        parts.append(text)
    return f"{head}{between.join(parts)}{tail}".encode()


_PIECE: Final = base64.b64encode(_SECRET.encode()).decode()[:9]
ANSWERS: Final[Mapping[str, tuple[int, bytes]]] = {
    "many members": (200, filled(f"{{{_SOUND},", '"#":1', "}")),
    "as many members as are read": (200, filled(f"{{{_SOUND},", f'"#":"{"-" * 96}"', "}")),
    "one long member": (200, filled(f'{{{_SOUND},"x":"', "%25", '"}', "")),
    "members that are just kept": (200, filled(f"{{{_SOUND},", f'"#":"{"%25&amp;" * 400}"', "}")),
    "members that hold the secret": (200, filled(f"{{{_SOUND},", f'"#":"{"-" * 8000}{_SECRET}"', "}")),
    "pieces of the secret": (200, filled(f'{{{_SOUND},"x":"', f"{_PIECE}%", '"}', "")),
    "many objects": (200, filled(f'{{{_SOUND},"x":[', "{}", "]}")),
    "as many objects as are read": (200, filled(f'{{{_SOUND},"x":[', f'{{"#":"{"-" * 94}"}}', "]}")),
    "many lists": (200, filled(f'{{{_SOUND},"x":[', "[]", "]}")),
    "many floats": (200, filled(f'{{{_SOUND},"x":[', "1.5", "]}")),
    "many exponents": (200, filled(f'{{{_SOUND},"x":[', "1e300", "]}")),
    "a long scope": (200, filled(f'{{{_SOUND},"scope":"', "a", '"}', " ")),
    "a long token": (200, filled('{"token_type":"Bearer","access_token":"', "x", '"}', "")),
    "a long type": (200, filled('{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"', "%", '"}', "")),
    "many members that are refused": (400, filled('{"error":"x",', '"#":1', "}")),
    "as many as are read, refused": (400, filled('{"error":"x",', f'"#":"{"-" * 96}"', "}")),
    "many lists that are refused": (400, filled('{"error":"x","x":[', "[]", "]}")),
    "a long token that is refused": (400, filled('{"error":"x","message":"y","access_token":"', "x", '"}', "")),
    "a long description": (400, filled('{"error":"x","error_description":"', "%25", '"}', "")),
    "backslashes": (400, filled('{"error":"x","error_description":"', "\\\\", '"}', "")),
    "asterisks everywhere": (400, filled("{", f'"#":"{"*" * 4000}"', "}")),
    "words in every member": (400, filled("{", f'"#":{{"message":"{"&#37;" * 800}"}}', "}")),
    "no JSON": (200, filled("", "<p>", "", "")),
    "deep": (200, filled("", '{"a":', "", "")),
    "blanks": (200, b" " * _SIZE),
}


@attrs.frozen
class Cost:
    """Seconds of CPU and bytes at the peak."""

    seconds: float
    bytes: int


def cost(call: Callable[[], object], times: int = 5) -> Cost:
    """What a call costs at its best."""
    best = float("inf")
    for _ in range(times):
        began = time.thread_time()
        call()
        best = min(best, time.thread_time() - began)
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Cost(best, peak)


def reading(status: int, body: bytes) -> Callable[[], object]:
    """Our whole way from a response to an outcome."""
    response = TokenResponse(status, {"Content-Type": "application/json"}, body)
    configuration = SdkConfiguration(fetch=lambda _: response)
    secret, fetch = Secret(_SECRET), configuration.fetch
    return lambda: run_sync(attempt(_CLIENT, secret, configuration, fetch, 1.0, lambda: ())).outcome


def loading(body: bytes) -> Callable[[], object]:
    """What Python does with it."""

    def load() -> object:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    return load


def main() -> int:
    """Print a row for each answer; 1 where one of them costs too much."""
    print(f"{'':<30}{'json.loads':>11}{'ours':>9}{'ratio':>7}{'more':>9}{'memory':>11}")
    late = 0
    for name, (status, body) in ANSWERS.items():
        bare, ours = cost(loading(body)), cost(reading(status, body))
        more, memory = ours.seconds - bare.seconds, ours.bytes - bare.bytes
        wrong = more > MOST_SECONDS or memory > MOST_BYTES
        late += wrong
        print(
            f"{name:<30}{bare.seconds * 1e3:>8.1f} ms{ours.seconds * 1e3:>6.1f} ms{ours.seconds / bare.seconds:>7.2f}"
            f"{more * 1e3:>6.1f} ms{memory / 2**20:>7.1f} MiB{'  too much' if wrong else ''}"
        )
    print(f"{len(ANSWERS)} answers, {late} cost over {MOST_SECONDS * 1e3:.0f} ms or {MOST_BYTES >> 20} MiB more")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
