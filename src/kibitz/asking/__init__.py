"""Questions asked from Python: lazy sets of calls over a folder or a server, and frames of them."""
