from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks
from tests.docs.session import Reader, missing_lines

PAGE = """# A page

`notes/one.txt`, which is read:

```text
one
```

```bash
export GREETING=hello
cd notes
```

```console
$ cat one.txt
one
$ echo "$GREETING, 17 WHOM"
hello, 4 WHOM
```

```python
n = 2
```

<!-- not run: it would never
end -->

```bash
sleep infinity
```

```python
print(n + 1)
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)
    return blocks(tmp_path / "page.md")


def test_a_page_is_typed_in_order_in_one_shell_and_one_python(page: list[Block], tmp_path: Path) -> None:
    assert [block.not_run for block in page if block.not_run] == ["it would never end"]
    reader = Reader(tmp_path, {}, {"WHOM": "world"})
    said = [reader.read(block) for block in page if not block.not_run]
    reader.close()
    assert said == ["wrote notes/one.txt\n", "", "one\nhello, 17 world\n", "", "3\n"]


@pytest.mark.parametrize(
    ("language", "text", "message"),
    [
        ("bash", "true\nfalse\ntrue\n", "page.md:1: exit code 1"),
        ("console", "$ echo one\ntwo\n", "does not say 'two'"),
        ("python", "1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_named(
    page: list[Block], tmp_path: Path, language: str, text: str, message: str
) -> None:
    reader = Reader(tmp_path, {}, {})
    with pytest.raises(AssertionError, match=message):
        reader.read(Block(tmp_path / "page.md", 1, language, text))
    reader.close()


@pytest.mark.parametrize(
    ("shown", "said", "missing"),
    [
        ("a  1.5\n...\nd 2024-05-01-0a1b2c3d4e5f", "a 2\nb\nc\nd  2025-01-31-ffffffffffff\n", []),
        ("b\na", "a\nb", ["a"]),
        ("promoted", "refused", ["promoted"]),
    ],
)
def test_output_is_compared_loosely(shown: str, said: str, missing: list[str]) -> None:
    assert len(missing_lines(shown, said)) == len(missing)
