"""The SDK: ops, the context they run in, and the one thread that delivers what they record.

op, streams ── recording ── snapshots, failures          on the caller's thread
                   │
session ── exporter ── batches ── parts ── code           on the exporter's thread
              ├── spool
              └── transport (given from outside)
"""
