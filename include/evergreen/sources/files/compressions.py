"""The compressions of files, by the suffixes that tell them."""

from __future__ import annotations

COMPRESSIONS = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd", ".zip": "zip"}
