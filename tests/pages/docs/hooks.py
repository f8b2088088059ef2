# %% 5
import os
from tako.testing.server import reply, serve

counted = []


def count(request):
    counted.append(request.json["messages"][0]["content"])
    if request.path.endswith("/count_tokens"):
        return reply(json={"input_tokens": 10})
    body = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "ok"}]}
    return reply(json={**body, "id": "msg_1", "model": "claude", "stop_reason": "end_turn", "usage": {}})


os.environ["ANTHROPIC_API_KEY"] = "sk-ant-test"
os.environ["ANTHROPIC_BASE_URL"] = stack.enter_context(serve(count)).url

tako.register(deadline)
tako.register(audit)
with stack.enter_context(__import__("contextlib").ExitStack()):
    caught = []
    handler = logging.Handler()
    handler.emit = lambda record: caught.append(record.getMessage())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    assert echo.blocking.chat("hi").text == "hi"
    assert echo.blocking.stream("hi").response().text == "hi"
    assert [text.partition(" used")[0] for text in caught] == ["echo", "echo"]

    async def stuck(request):
        await asyncio.sleep(60)

    async def slow(request):
        yield "a"
        await asyncio.sleep(60)

    LONGEST = 0.05
    late = tako.providers.PythonProvider("late", stuck, stream=slow)
    for call in (lambda: late.blocking.chat("hi"), lambda: late.blocking.stream("hi").response()):
        try:
            call()
            raise AssertionError("it has all the time in the world")
        except tako.errors.ProviderTimeoutError as error:
            assert "no whole answer within 0.05 s" in str(error)
    assert "late failed:" in caught[-1]
for middleware in (audit, deadline):
    tako.unregister(middleware)

# %% end
assert counted == ["https://intra.example/plan.png", "Charge [card]"], counted
