"""The query language: parse, check, evaluate over plain records, compile to SQL. Pure."""
