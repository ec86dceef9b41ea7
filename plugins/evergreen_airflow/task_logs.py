"""Logs of tasks in the storage, so that they are read wherever the task ran.

Airflow takes `REMOTE_TASK_LOG` from beside the configuration that `AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS`
names: `evergreen_airflow.task_logs.LOGGING_CONFIG`. A log is sent when its task has ended; until then it is
where the task runs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.config_templates.airflow_local_settings import DEFAULT_LOGGING_CONFIG as LOGGING_CONFIG

from evergreen_airflow.connections import STORAGE_CONNECTION, open_storage

if TYPE_CHECKING:
    from evergreen.storage import Storage

FOLDER = "task-logs"
"""Below the storage's prefix; no pipeline's name has a hyphen."""

_log = logging.getLogger(__name__)


class TaskLogs:
    """Airflow's interface of logs that are kept elsewhere (`RemoteLogStreamIO`), on the storage.

    The log of an attempt is an object below `task-logs/`, at the path that it has below the `local` folder;
    what a trigger logged for it is an object of its own beside it, whose name begins alike.
    """

    processors: tuple[Any, ...] = ()

    def __init__(self, local: Path) -> None:
        self._local = local

    def upload(self, path: os.PathLike[str] | str, ti: object = None) -> None:
        """Send the log at `path` below the local folder, behind what was sent of it before; remove it here.

        An attempt that was deferred goes on in a new file, maybe on another machine. Where the storage does
        not take it, the log stays here and the reason is logged: it fails no task.
        """
        from evergreen.errors import EvergreenError

        file = self._local / path
        if not file.is_file():
            return
        key = file.relative_to(self._local).as_posix()
        try:
            storage = _logs()
            sent = storage.find(key)
            storage.stage(key, (sent.body if sent else b"") + file.read_bytes(), "application/x-ndjson")
        except EvergreenError as error:
            _log.warning("the log %s stays on this machine: %s", key, error)
        else:
            file.unlink()

    def read(self, relative_path: str, ti: object) -> tuple[list[str], list[str] | None]:
        """The addresses of the attempt's logs, and their texts; none where none was sent or it fails."""
        from evergreen.errors import EvergreenError

        try:
            storage = _logs()
            keys = sorted(storage.list(relative_path))
            texts = [storage.read(key).body.decode(errors="replace") for key in keys]
        except EvergreenError as error:
            return [f"the log could not be read from the storage: {error}"], None
        return [storage.uri(key) for key in keys], texts or None

    def stream(self, relative_path: str, ti: object) -> tuple[list[str], list[Generator[str]]]:
        """As `read`, by lines. They are generators, for Airflow takes no other iterator."""
        sources, texts = self.read(relative_path, ti)
        return sources, [_lines(text) for text in texts or []]


def _lines(text: str) -> Generator[str]:
    # What else separates lines by Unicode may be part of a message.
    yield from text.removesuffix("\n").split("\n")


def _logs() -> Storage:
    return open_storage().child(FOLDER)


def _local_folder() -> Path:
    from airflow.configuration import conf

    return Path(conf.get_mandatory_value("logging", "base_log_folder"))


REMOTE_TASK_LOG = TaskLogs(_local_folder())
DEFAULT_REMOTE_CONN_ID = os.environ.get(STORAGE_CONNECTION)

__all__ = ["DEFAULT_REMOTE_CONN_ID", "LOGGING_CONFIG", "REMOTE_TASK_LOG", "TaskLogs"]
