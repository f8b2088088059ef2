"""A program in the place of a vendor's: it passes what it reads on to a scripted server, and writes what that answers.

::

    class TestAcme(ProviderSuite):
        dialect = Vendor()  # http = False, and "bytes" among its traits

        def provider(self, base_url, **options):
            return Acme("large", command=relay(base_url), **options)

Where the server cuts a reply, the program ends with exit code 1. It needs nothing but Python's own library, without
``site``: it's started often.
"""

from __future__ import annotations

import socket
import sys


def relay(url: str) -> list[str]:
    """Return the command that talks to the scripted server at that address."""
    return [sys.executable, "-I", "-S", __file__, url]


def main(url: str) -> int:
    """Pass one request on; returns the exit code."""
    body = sys.stdin.buffer.read()
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as reply:
        connection.sendall(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        while reply.readline().strip():
            pass
        while size := int(reply.readline() or b"-1", 16):
            if size < 0 or len(piece := reply.read(size + 2)) < size + 2:
                return 1
            sys.stdout.buffer.write(piece[:-2])
            sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1])
    except OSError:
        code = 1
    sys.exit(code)
