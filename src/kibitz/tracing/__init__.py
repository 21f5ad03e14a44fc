"""The SDK: record what a program does and hand it to a transport."""
