"""Who writes, for people to read in the records."""

from __future__ import annotations

import getpass
import os
import socket


def author() -> str:
    """The DAG run as Airflow names it, or the user and host of this process."""
    dag, run = os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
    if dag and run:
        return f"{dag} {run}"
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
