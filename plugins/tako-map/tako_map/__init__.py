"""One prompt over many rows, on this machine or on a cluster, for tako."""
