"""What stands below the attributes of a class."""

from __future__ import annotations

from evergreen.attribute_docs import AttributeDoc, attribute_docs


class Base:
    first: int
    """The first. Example: 2011-01-31"""
    silent: str = ""


class Child(Base):
    second: dict[str, int]
    """The second, which is
    long. Example: {a: 1}
    """
    first: int
    """Another first."""


def test_each_attribute_with_a_text_below_it() -> None:
    assert attribute_docs(Base) == {"first": AttributeDoc("The first.", ("2011-01-31",))}


def test_inherited_texts_and_those_that_replace_them() -> None:
    second = AttributeDoc("The second, which is long.", ({"a": 1},))
    assert attribute_docs(Child) == {"first": AttributeDoc("Another first."), "second": second}


def test_a_class_without_source_has_none() -> None:
    assert attribute_docs(type("Made", (), {"__annotations__": {"first": int}})) == {}
