"""How the tables of a lake are made and written: old versions stay, from which training sets are rebuilt."""

from __future__ import annotations

from deltalake import PostCommitHookProperties

OF_A_NEW_TABLE = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.checkpointInterval": "20",  # a table is opened by reading the commits since the last one
}

AFTER_A_COMMIT = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
"""Else each commit would list the whole log, to look for parts of it that have expired."""
