"""Whether anybody may write to the bucket of the storage, with or without an account of the store."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from evergreen.errors import UnavailableError

if TYPE_CHECKING:
    from evergreen.storage import Storage

_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")
_WRITES = frozenset({"WRITE", "WRITE_ACP", "FULL_CONTROL"})
_ACTIONS = ("s3:put", "s3:delete", "s3:*", "*")
_NOT_ASKED = frozenset(
    {"NoSuchBucketPolicy", "NotImplemented", "MethodNotAllowed", "AccessDenied", "NoSuchBucket"}
)


def written_by_anybody(storage: Storage) -> str | None:
    """A line that says how anybody may write to the bucket, with the remedy; None if nobody may.

    An object is written without a key, and deleted if that succeeds; the bucket's grants and its policy are
    read where they may be. Raises `UnavailableError` if the store does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    remedy = "take the right away, or use another bucket"
    try:
        if _is_written_without_key(storage):
            return f"bucket '{storage.bucket}': anybody may write to it without a key: {remedy}"
        client = _client(storage, unsigned=False)
        for read, is_open in ((client.get_bucket_acl, grants), (client.get_bucket_policy, allows)):
            try:
                answer = read(Bucket=storage.bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NOT_ASKED:
                    raise
            else:
                if is_open(answer):
                    return f"bucket '{storage.bucket}': its grants or its policy let anybody write: {remedy}"
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"bucket '{storage.bucket}' cannot be asked ({type(error).__name__}): check the storage"
        ) from None
    return None


def grants(answer: Any) -> bool:
    """Whether a bucket's access list lets everybody write, or everybody with any account."""
    return any(
        str(grant.get("Grantee", {}).get("URI", "")).endswith(_EVERYBODY) and grant["Permission"] in _WRITES
        for grant in answer.get("Grants", [])
    )


def allows(answer: Any) -> bool:
    """Whether a bucket's policy lets everybody write without a condition."""
    statements = json.loads(answer["Policy"]).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        everybody = principal == "*" or (isinstance(principal, dict) and "*" in _list(principal.get("AWS")))
        writes = any(str(action).lower().startswith(_ACTIONS) for action in _list(statement.get("Action")))
        if statement.get("Effect") == "Allow" and everybody and writes and not statement.get("Condition"):
            return True
    return False


def _is_written_without_key(storage: Storage) -> bool:
    from botocore.exceptions import ClientError

    key = f"{storage.prefix}/.probe/{uuid.uuid4().hex}".lstrip("/")
    try:
        _client(storage, unsigned=True).put_object(Bucket=storage.bucket, Key=key, Body=b"")
    except ClientError:
        return False
    with suppress(ClientError):
        _client(storage, unsigned=False).delete_object(Bucket=storage.bucket, Key=key)
    return True


def _client(storage: Storage, unsigned: bool) -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    keys = storage.credentials
    return boto3.client(
        "s3",
        endpoint_url=keys.endpoint_url,
        region_name=keys.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.session_token,
        config=Config(
            connect_timeout=3,
            read_timeout=10,
            retries={"total_max_attempts": 1},
            signature_version=UNSIGNED if unsigned else None,
            s3={"addressing_style": "path"} if keys.endpoint_url else {},
        ),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
