"""The embedded S3 server behind the address at which SeaweedFS answers for its health."""

from ministack.app import app as s3


async def app(scope, receive, send):
    """Answer `/healthz` here, all else by the server."""
    if scope["type"] == "http" and scope["path"] == "/healthz":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await s3(scope, receive, send)
