"""What is stored as files and back: JSONL, CSV, Parquet, Arrow."""
