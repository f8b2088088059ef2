# %% 1
from tako import ChatResponse, FinishReason, Message, providers
from tako.parts import ToolCallPart


def answer(request):
    last = request.messages[-1]
    if last.role == "tool" and request.response_format:
        return '{"city": "Paris", "degrees": 22}'
    if last.role == "tool":
        return f"It's {last.parts[0].result}."
    calls = [ToolCallPart("1", "weather", {"city": "Paris"})]
    return ChatResponse(Message.assistant([*calls]), FinishReason.TOOL_CALLS)


provider = providers.PythonProvider("p", answer)

# %% 2
assert result.text == "It's 22 degrees celsius in Paris."

# %% 5
assert result.parsed == Report("Paris", 22) and result.rounds == 2
