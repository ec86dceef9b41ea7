"""A large object sent to S3 part by part, so that one part is held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

PART = 16 * 2**20
"""How large a part is, in bytes."""

LARGE = 4 * PART
"""From which size on an object is sent and copied in parts."""


def upload_parts(client: Any, where: Mapping[str, str], body: IO[bytes], about: Mapping[str, Any]) -> None:
    """Send a file as the object at `where`, its bucket and key; `about` is stored with it."""
    from botocore.exceptions import BotoCoreError, ClientError

    # One part at a time: the SDK's own transfer holds ten of them in memory.
    upload = {**where, "UploadId": client.create_multipart_upload(**where, **about)["UploadId"]}
    try:
        parts = []
        for number, part in enumerate(iter(lambda: body.read(PART), b""), start=1):
            answer = client.upload_part(**upload, PartNumber=number, Body=part)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except BaseException:
        # An upload that cannot be aborted now is left to the bucket's lifecycle rule.
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**upload)
        raise
