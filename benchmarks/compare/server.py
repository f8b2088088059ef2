"""A vendor that answers at once: Chat Completions over HTTP/1.1 on loopback, without a framework.

The model's name decides the reply: ``chat`` is a complete reply, ``deltas-2000`` a stream of 2000 deltas, each in an
HTTP chunk of its own, as vendors send them. ``paced-20`` sends a delta every 100 ms.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource

TEXT = "The quick brown fox jumps over the lazy dog. " * 20
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nx-request-id: req-1\r\n"
BATCH = 64
"""Chunks to write before the server lets other tasks run."""


def reply() -> bytes:
    """Return a complete reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 20, "completion_tokens": 200, "total_tokens": 220}
    facts = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "chat"}
    body = json.dumps({**facts, "choices": [choice], "usage": usage}).encode()
    return HEAD % b"application/json" + b"content-length: %d\r\n\r\n" % len(body) + body


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    """Return one event of a stream as an HTTP chunk."""
    facts = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "deltas"}
    event = json.dumps({**facts, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    data = b"data: " + event.encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


REPLY = reply()
START = (
    HEAD % b"text/event-stream" + b"transfer-encoding: chunked\r\n\r\n" + chunk({"role": "assistant", "content": ""})
)
DELTAS = [chunk({"content": text}) for text in TEXT.split()]
"""They differ, because some clients refuse a model that repeats itself."""
END = chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection until the client closes it."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            request = json.loads(await reader.readexactly(int(length[1]) if length else 0))
            kind, _, count = request["model"].partition("-")
            if kind == "chat":
                writer.write(REPLY)
                continue
            writer.write(START)
            for i in range(int(count)):
                writer.write(DELTAS[i % len(DELTAS)])
                if kind == "paced":
                    await asyncio.sleep(0.1)
                elif i % BATCH == 0:
                    await writer.drain()
            writer.write(END)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve() -> None:
    """Print the port, and serve until the process is stopped."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
