"""A ClickHouse server on this machine, with a folder of its own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import unused_port, wait_until_ready

_CONFIG = """<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/files/</user_files_path>
  <format_schema_path>{folder}/formats/</format_schema_path><mark_cache_size>67108864</mark_cache_size>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><timezone>UTC</timezone>
</yandex>"""
_USERS = """<yandex>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users><default>
    <password>{password}</password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota>
  </default></users>
</yandex>"""


@contextmanager
def clickhouse_server(folder: Path, password: str) -> Iterator[int]:
    """The HTTP port of a server with one user, `default`, that keeps everything in the folder."""
    http, tcp = unused_port(), unused_port()
    (folder / "config.xml").write_text(_CONFIG.format(http=http, tcp=tcp, folder=folder))
    (folder / "users.xml").write_text(_USERS.format(password=password))
    log = folder / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["clickhouse-server", f"--config-file={folder / 'config.xml'}"],
            cwd=folder,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until_ready(lambda: socket.create_connection(("127.0.0.1", http), 1).close(), server, log)
        yield http
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
