"""The vocabulary: records, refs, errors, clock, ids, settings, JSON conversion. Pure: no I/O, no threads."""
