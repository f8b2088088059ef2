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
