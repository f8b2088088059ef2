# %% end
assert used == {"acme": 5}
tako.unregister(budget)
