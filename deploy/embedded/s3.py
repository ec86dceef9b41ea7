"""The embedded S3 server: `ministack`, from an environment of its own because it pins botocore."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy.embedded.errors import StackError
from deploy.embedded.home import HOST, REPOSITORY, Home, Ports
from deploy.embedded.processes import Service
from deploy.embedded.secrets import Secrets

NAME = "s3"
BUCKET = "evergreen"
REGION = "us-east-1"


def endpoint(ports: Ports) -> str:
    """The address of the server."""
    return f"http://{HOST}:{ports.s3}"


def server(port: int) -> list[str]:
    """The module that serves, and its arguments: `ministack` by uvicorn, which answers faster."""
    return [
        *("uvicorn", "ministack.app:app", "--host", HOST, "--port", str(port)),
        *("--http", "httptools", "--loop", "asyncio", "--timeout-keep-alive", "75"),
        *("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-date-header"),
    ]


def service(home: Home, ports: Ports, secrets: Secrets) -> Service:
    """The server: only S3, on disk, on 127.0.0.1, and only for requests signed with our keys."""
    scratch = home.s3 / "tmp"
    scratch.mkdir(exist_ok=True)
    return Service(
        name=NAME,
        command=[str(_python()), "-m", *server(ports.s3)],
        environment={
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(ports.s3),
            "SERVICES": "s3",
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": secrets.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": secrets.s3_secret_key,
            "MINISTACK_REGION": REGION,
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(home.s3 / "data"),
            "TMPDIR": str(scratch),
            # Turns off listeners of other services, which would take more ports.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        },
        port=ports.s3,
    )


def create_bucket(ports: Ports, secrets: Secrets) -> None:
    """Create the bucket if it is not there yet; raises `StackError` if the server refuses."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint(ports),
        region_name=REGION,
        aws_access_key_id=secrets.s3_access_key,
        aws_secret_access_key=secrets.s3_secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )
    try:
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
    except (ClientError, BotoCoreError) as error:
        raise StackError(
            f"the S3 server at {endpoint(ports)} does not answer as it should: {error}"
        ) from None


def _python() -> Path:
    python = REPOSITORY / ".venv-s3" / "bin" / "python"
    if not python.exists():
        raise StackError(f"{python} is missing: run 'make .venv-s3'")
    return python
