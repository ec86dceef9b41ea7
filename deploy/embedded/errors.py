"""What can go wrong with the embedded stack, in one line that ends with the remedy."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot do what was asked; the message is one line and names what to do."""
