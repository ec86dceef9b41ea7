"""What the errors of delta-rs say, without their decoration."""

from __future__ import annotations

import re

DENIED = re.compile(r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch")
"""The code with which a store refuses access."""

OUT_OF_REACH = re.compile(r"Generic S3 error|error sending request|timed out|NoSuchBucket")
"""What is said of a store that cannot be reached or does not answer, and so of no file."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STACK = re.compile(r"\n\s*0: ")


def plain(error: BaseException) -> str:
    """The message in one line, without colours and the stack of Rust's functions."""
    return " ".join(_COLOUR.sub("", _STACK.split(str(error))[0]).split())


def last_cause(text: str) -> str:
    """The cause of a failure in a plain message, without the document that a server sent behind it."""
    cause = text.rpartition("↳")[2]
    return cause.partition("<?xml")[0].strip()[:200]
