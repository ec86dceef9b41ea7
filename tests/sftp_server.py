"""A real SFTP server (asyncssh) on 127.0.0.1 that shows a folder, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

LOGIN, PASSWORD, PASSPHRASE = "reader", "planted-password-51c9", "planted-passphrase-88d1"


@dataclass
class SftpServer:
    """A running server. `host_key` is its public key, `client_key` a private one that it accepts.

    Paths in `denied` may not be read. `opened` are the paths of the files that clients opened, `listed` those
    of the folders, `logins` counts the connections that logged in.
    """

    root: Path
    port: int = 0
    host_key: str = ""
    client_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    opened: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    logins: int = 0


@contextmanager
def sftp_server(root: Path, algorithm: str = "ssh-ed25519") -> Iterator[SftpServer]:
    """A server whose own key is of this algorithm; login by `PASSWORD` or by `client_key`."""
    running, key = SftpServer(root), asyncssh.generate_private_key(algorithm)
    running.host_key = key.export_public_key().decode().strip()

    class Files(asyncssh.SFTPServer):
        def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
            super().__init__(channel, chroot=str(root).encode())

        def open(self, path, *args, **more):
            running.opened.append(path.decode())
            if path.decode() in running.denied:
                raise asyncssh.SFTPPermissionDenied("not for you")
            return super().open(path, *args, **more)

        def scandir(self, path):
            running.listed.append(path.decode())
            if path.decode() in running.denied:
                raise asyncssh.SFTPPermissionDenied("not for you")
            return super().scandir(path)

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (LOGIN, PASSWORD)

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return username == LOGIN and key.public_data == running.client_key.public_data

        def auth_completed(self) -> None:
            running.logins += 1

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sftp", daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=Server, sftp_factory=Files
        )

    async def close() -> None:
        acceptor.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    running.port = acceptor.get_port()
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
