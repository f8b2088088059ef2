# %% 1
from pathlib import Path
from tako.testing.server import reply, serve

Path("contract.pdf").write_bytes(b"%PDF-1.7 contract")
cited = [
    {
        "type": "page_location",
        "cited_text": "Either side may end this contract with 30 days' notice.",
        "document_index": 0,
        "document_title": "contract.pdf",
        "start_page_number": 12,
        "end_page_number": 13,
    }
]
body = {
    "content": [
        {"type": "text", "text": "The notice period is "},
        {"type": "text", "text": "30 days", "citations": cited},
        {"type": "text", "text": "."},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 61000, "output_tokens": 12},
}
server = stack.enter_context(serve(reply(json=body)))
import os

os.environ |= {"ANTHROPIC_API_KEY": "sk-ant-test", "ANTHROPIC_BASE_URL": server.url}

# %% end
sent = server.requests[0].json["messages"][0]["content"][0]
assert sent["type"] == "document" and sent["title"] == "contract.pdf" and sent["citations"] == {"enabled": True}
