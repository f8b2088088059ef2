"""The scripted server of `tako.testing` leaves nothing behind, so that no later test fails for an earlier one."""

from __future__ import annotations

import gc
import socket
import warnings
from urllib.parse import urlsplit

from tako.testing.server import reply, serve


def test_connections_that_were_only_just_accepted_are_closed() -> None:
    with warnings.catch_warnings(record=True) as leaks:
        warnings.simplefilter("always")
        for _ in range(20):
            with serve(reply()) as server:
                where = urlsplit(server.url)
                clients = [socket.create_connection((where.hostname, where.port)) for _ in range(3)]
            for client in clients:
                client.close()
        gc.collect()
    assert [str(leak.message) for leak in leaks] == []
