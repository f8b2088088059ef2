# %% 1
import sys


class Page:
    """The blocks of this page, as the module that a reader puts them in."""

    __name__ = "tako_acme"
    __dict__ = property(lambda self: globals())

    def __getattr__(self, name):
        if name not in globals():
            raise AttributeError(name)
        return globals()[name]

    def __dir__(self):
        return list(globals())


sys.modules["__page__"] = Page()
stack.callback(sys.modules.pop, "__page__")

# %% 16
sys.modules["tako_acme"] = sys.modules["vendor"] = Page()
stack.callback(sys.modules.pop, "tako_acme")
stack.callback(sys.modules.pop, "vendor")

# %% end
from tako.testing.server import sse

UsualDecoder, Decoder = Decoder, FaultyDecoder
fault = {"fault": {"kind": "busy", "text": "try later"}}
with serve(reply(sse({"text": "Sun"}, fault))) as server:
    provider = Faulty("large", api_key="test", base_url=server.url, max_retries=0)
    try:
        provider.blocking.stream("Hi").response()
    except OverloadedError as error:
        assert "busy: try later" in str(error)
    else:
        raise AssertionError("a fault in a stream was no error")
Decoder = UsualDecoder
