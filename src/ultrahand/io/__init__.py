"""Bytes to frozen records and records to bytes; science never opens a file."""
