# %% 1
import tako
import tako_otel

tako.register(tako_otel)
stack.callback(tako_otel.configure)
stack.callback(tako.unregister, tako_otel)
