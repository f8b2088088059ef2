"""The certificates that TLS trusts: certifi's, or those in SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

import certifi

from tako.errors import ConfigurationError


def tls_context() -> ssl.SSLContext:
    """Return the process's client context. Raises OSError where the variables name nothing that can be read."""
    return _context(os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)


def trusted() -> ssl.SSLContext:
    """Return the process's client context. Raises ConfigurationError where there is none."""
    try:
        return tls_context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR name can't be read: {error}"
        ) from error


@lru_cache(maxsize=4)
def _context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    """Make a context, once for each setting: it costs 20 ms."""
    return ssl.create_default_context(cafile=cafile if cafile or capath else certifi.where(), capath=capath)
