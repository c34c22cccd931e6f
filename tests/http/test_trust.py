"""The default trust store: read once for all strategies of a process, and anew as soon as it is another."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import truststore

from client_credentials import Urllib3Fetch
from client_credentials._http.trust import new_context, shared_context
from tests.http.peers import BODY, GRANTED, Peer, answers, authority, failure, server_context, token_request


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the trusted CAs are: a file that is there, beside a folder that is not."""
    path = tmp_path / "store.pem"
    authority().cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "folder"))
    return path


def add(store: Path) -> None:
    """Write one more CA into the file."""
    trustme.CA().cert_pem.write_to_path(str(store), append=True)


def replace(store: Path) -> None:
    """Put another file of the same size and age in its place, as a rotation does."""
    other, was = store.with_suffix(".new"), store.stat()
    other.write_bytes(store.read_bytes())
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(store)


def touch(store: Path) -> None:
    """Write the same file again, a second later."""
    os.utime(store, ns=(0, store.stat().st_mtime_ns + 10**9))


def rewrite(store: Path) -> None:
    """Write another content of the same size over it, and pretend that nothing happened since."""
    was = store.stat()
    store.write_bytes(store.read_bytes().swapcase())
    os.utime(store, ns=(was.st_atime_ns, was.st_mtime_ns))


def fill_folder(store: Path) -> None:
    """Make the folder beside it."""
    (store.parent / "folder").mkdir()


def move(store: Path) -> None:
    """Name another file."""
    os.environ["SSL_CERT_FILE"] = str(store.rename(store.with_suffix(".moved")))


def fail(_: Path) -> None:
    """Fail to verify a peer."""
    with Peer(answers(GRANTED), context=server_context(ca=trustme.CA())) as peer:
        failure(Urllib3Fetch(), token_request(peer.secure_url))


@pytest.mark.parametrize("change", [add, replace, touch, rewrite, fill_folder, move, fail])
def test_a_store_that_changes_is_read_anew(store: Path, change: Callable[[Path], None]) -> None:
    """P9: until then there is one context for all."""
    before = shared_context()
    assert shared_context() is before
    change(store)
    after = shared_context()
    assert after is not before
    assert shared_context() is after


def test_a_context_of_the_program_that_fails() -> None:
    """What it does not trust says nothing of the default store, which all others go on using."""
    before = shared_context()
    with Peer(answers(GRANTED), context=server_context()) as peer:
        failure(Urllib3Fetch(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)), token_request(peer.secure_url))
    assert shared_context() is before


def test_a_store_that_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """S1/own: truststore's context is locked during a handshake, and nobody else waits for the one that hangs."""
    bodies: list[bytes] = []

    def hang(sock: socket.socket) -> None:
        sock.recv(65536)  # the handshake has begun
        bodies.append(Urllib3Fetch()(token_request(peer.secure_url)).body)

    context = server_context()
    monkeypatch.setattr(ssl, "SSLContext", truststore.SSLContext)
    with Peer(answers(GRANTED), context=context) as peer, Peer(hang) as hanging:
        failure(Urllib3Fetch(), token_request(hanging.secure_url))
    assert [BODY] == bodies


@pytest.mark.parametrize("in_sight", [True, False])
def test_a_forked_child_reads_it_anew(store: Path, *, in_sight: bool) -> None:
    """A lock of its parent's context may be held for ever there; but that is better than none, after a chroot."""
    before = shared_context()
    if not in_sight:
        store.unlink()
    pid = os.fork()
    if pid == 0:
        os._exit((shared_context() is before) == in_sight)
    assert (pid, 0) == os.waitpid(pid, 0)
    assert shared_context() is before


def test_a_store_out_of_sight(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a chroot, or where there is neither file nor folder, as on Windows, it is used as it was read."""
    before, paths = shared_context(), ssl.get_default_verify_paths()
    store.unlink()
    assert shared_context() is before
    with monkeypatch.context() as patch:
        patch.setattr(ssl, "get_default_verify_paths", lambda: paths)  # it was there a moment ago
        assert shared_context() is before
    monkeypatch.setenv("SSL_CERT_FILE", str(store.with_suffix(".other")))
    none = shared_context()
    assert 0 == none.cert_store_stats()["x509"]
    assert shared_context() is none


def remove(store: Path, _: pytest.MonkeyPatch) -> None:
    """Take the file away, as a chroot does, or whoever is about to write it anew."""
    store.unlink()


def forbid(store: Path, patch: pytest.MonkeyPatch) -> None:
    """Keep the file from us, as from a process that gave up root's rights."""
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if path == str(store):
            raise PermissionError
        return real(path, flags, mode)

    patch.setattr(os, "open", refuse)


@pytest.mark.parametrize("hide", [remove, forbid])
def test_half_a_store_out_of_sight(
    store: Path, monkeypatch: pytest.MonkeyPatch, hide: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    """Beside a folder that stays, its authorities are trusted as before, and one bad peer does not change that."""
    fill_folder(store)
    before = shared_context()
    with monkeypatch.context() as patch:
        hide(store, patch)
        for _ in range(2):
            assert shared_context() is before
            fail(store)
        touch(store.parent / "folder")
        assert shared_context() is before
    store.touch()
    assert shared_context() is not before


def test_a_store_that_was_never_in_sight(store: Path) -> None:
    """On Windows nothing tells when it changes, so a failure is reason enough to read it anew."""
    store.unlink()
    before = shared_context()
    assert shared_context() is before
    fail(store)
    assert shared_context() is not before


def test_a_context_for_changing() -> None:
    """What the command line changes is its own."""
    assert new_context() is not new_context()
    assert shared_context() is not new_context()


def test_an_added_authority_is_trusted_at_once(store: Path) -> None:
    """P9, S2: not only after a failure."""
    fetch, added = Urllib3Fetch(), trustme.CA()
    with Peer(answers(GRANTED), context=server_context()) as peer:
        fetch(token_request(peer.secure_url))
    added.cert_pem.write_to_path(str(store), append=True)
    with Peer(answers(GRANTED), context=server_context(ca=added)) as peer:
        assert BODY == fetch(token_request(peer.secure_url)).body


def test_it_keeps_nothing_open(store: Path) -> None:
    """Whether it is in sight is seen by opening it, for each request."""

    def unused() -> int:
        descriptor = os.open(store, os.O_RDONLY)
        os.close(descriptor)
        return descriptor

    shared_context()
    before = unused()
    shared_context()
    assert before == unused()
