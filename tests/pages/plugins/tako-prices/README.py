# %% 1
import tako
import tako_prices

tako.register(tako_prices)
stack.callback(tako.unregister, tako_prices)
