"""Workers: processes that do the evaluations that are wanted."""
