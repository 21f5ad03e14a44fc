"""Applications: objects whose methods are recorded and judged."""
