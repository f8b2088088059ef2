"""What TLS trusts: certifi's roots, or what SSL_CERT_FILE and SSL_CERT_DIR name in their stead."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

import certifi


def tls_context() -> ssl.SSLContext:
    """Return the process's client context. Raises OSError where the variables name nothing that can be read."""
    return _context(os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)


@lru_cache(maxsize=4)
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    """Make a context, once for each setting: it costs 20 ms."""
    return ssl.create_default_context(cafile=cafile if cafile or capath else certifi.where(), capath=capath)
