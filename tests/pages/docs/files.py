# %% 1
import base64
import os
from pathlib import Path
from tako.testing.server import reply, serve

Path("report.pdf").write_bytes(b"%PDF-1.7 report")
Path("notes.txt").write_bytes(b"Buy milk.\n")
message = {"content": [{"type": "text", "text": "Sales grew."}], "stop_reason": "end_turn"}
anthropic = stack.enter_context(serve(reply(json=message)))
os.environ |= {"ANTHROPIC_API_KEY": "sk-ant-test", "ANTHROPIC_BASE_URL": anthropic.url}
completion = {"choices": [{"message": {"content": "Sales grew."}, "finish_reason": "stop"}]}
openai = stack.enter_context(serve(reply(json=completion)))
os.environ |= {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": openai.url}

# %% 4
assert openai.requests[0].json["messages"][0]["content"] == "notes.txt:\nBuy milk.\nWhat do I need?"

# %% 5
assert anthropic.requests[-1].json["messages"][0]["content"][0]["citations"] == {"enabled": True}

kept = stack.enter_context(serve(reply(json={"id": "file_011"}), reply(json=message), reply(json={"id": "file_011"})))
os.environ["ANTHROPIC_BASE_URL"] = kept.url

# %% 6
spoken = {"id": "audio_1", "data": base64.b64encode(b"RIFF\0\0\0\0WAVE").decode(), "transcript": "Hello!"}
completion["choices"][0]["message"] = {"content": None, "audio": spoken}
os.environ["OPENAI_BASE_URL"] = stack.enter_context(serve(reply(json=completion))).url
