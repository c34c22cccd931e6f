"""The default trust store as a TLS context, read once for all strategies of a process, and anew where it has changed.

A system's store takes some 20 ms to read and 0.8 MB to keep: once for a process, not once for each of its clients.
"""

from __future__ import annotations

import os
import ssl
from typing import Final, TypeAlias

_Store: TypeAlias = dict[str, tuple[int, ...] | None]
"""What tells whether a store is as it was: what its file and folder look like, and under "" whose process it is."""

_read: Final[dict[tuple[str | None, ...], tuple[_Store, ssl.SSLContext]]] = {}
"""What was read, by how it was named: the store as it was then, and the context made of it."""


def new_context() -> ssl.SSLContext:
    """Make a TLS context as strict as urllib3's, with the default trust store, or what SSL_CERT_FILE and _DIR name."""
    context = ssl.create_default_context()
    context.hostname_checks_common_name = False  # RFC 9525 section 2
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def shared_context() -> ssl.SSLContext:
    """Return such a context, which must not be changed: it is everybody's."""
    if ssl.SSLContext.__module__ != "ssl":
        return new_context()  # truststore's is locked during a handshake: all would wait for an endpoint that hangs
    paths = ssl.get_default_verify_paths()
    names = tuple(map(os.environ.get, (paths.openssl_cafile_env, paths.openssl_capath_env)))
    # By process, since a fork may copy a lock of OpenSSL's that a handshake in another thread holds.
    store: _Store = {"": (os.getpid(),), **_seen(paths.cafile), **_seen(paths.capath)}
    before, context = _read.get(names, (store, None))
    # With anything of it out of sight, by a chroot or as root's rights are given up, it is used as it was read.
    if context is None or (before != store and before.keys() <= store.keys()):
        context = new_context()
        _read[names] = store, context
    return context


def _seen(path: str | None) -> _Store:
    try:
        descriptor = os.open(path or "", os.O_RDONLY)
    except OSError:
        return {}
    found = os.fstat(descriptor)
    os.close(descriptor)
    return {path or "": (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)}


def doubt(context: ssl.SSLContext) -> None:
    """Have the store of a shared context read anew: a peer could not be verified, perhaps since it was not all read."""
    for names, (before, shared) in tuple(_read.items()):
        if shared is context:
            _read[names] = dict.fromkeys(before), context


def store_is_empty(context: ssl.SSLContext, *, is_default: bool) -> bool:
    """Tell whether a context trusts nobody; `is_default` says whether its trust store is the default one."""
    try:
        if context.cert_store_stats()["x509"]:
            return False
    except NotImplementedError:  # truststore, whose store is the operating system's
        return False
    # A context reads only those certificates of a folder (SSL_CERT_DIR) that it has been asked for.
    folder: str | None = ssl.get_default_verify_paths().capath
    if not is_default or not folder:
        return True
    try:
        return not os.listdir(folder)  # noqa: PTH208
    except OSError:  # OpenSSL may not read it either
        return True
