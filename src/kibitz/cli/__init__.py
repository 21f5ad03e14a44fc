"""The command line: serve, demo, calls, import, doctor."""
