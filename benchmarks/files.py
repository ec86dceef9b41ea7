"""How fast CSV is read to typed Arrow batches, against pyarrow's own reader and in another dialect."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.alone import run_alone, tell
from benchmarks.figure import ROUNDS, Figure, ratio_of_medians

ROWS = 2_000_000
NAMES = ["paid_at", "id", "amount", "shop", "method", "member", "reference"]
METHODS = ["Karte", "bar", "Überweisung", "Gutschein"]


def measure() -> list[Figure]:
    """Seconds of 2,000,000 rows x 7 columns, over those of pyarrow's reader and of another dialect."""
    spent: dict[str, list[float]] = {name: [] for name in _READERS}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        for number in range(1, ROUNDS + 1):
            for name, seconds in spent.items():
                seconds.append(run_alone(__name__, folder, name)[0])
            took = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in spent.items())
            print(f"  round {number}: {took}", flush=True)
    return [
        Figure(
            "2 M rows of CSV, as a source / by pyarrow's streaming reader",
            ratio_of_medians(spent["utf8"], spent["pyarrow"]),
            "x",
            2,
        ),
        Figure(
            "2 M rows of CSV, cp1252 with decimal comma / UTF-8",
            ratio_of_medians(spent["cp1252"], spent["utf8"]),
            "x",
            1.5,
        ),
    ]


def _write(folder: Path) -> None:
    """The same rows in both dialects."""
    with (
        (folder / "utf8.csv").open("w", encoding="utf-8", newline="") as plain,
        (folder / "cp1252.csv").open("w", encoding="cp1252", newline="") as local,
    ):
        plain.write(",".join(NAMES) + "\n")
        local.write(";".join(NAMES) + "\n")
        for row in _rows():
            plain.write(",".join(row) + "\n")
            local.write(";".join([*row[:2], row[2].replace(".", ","), *row[3:]]) + "\n")


def _rows() -> Iterator[list[str]]:
    chance = random.Random(0)  # noqa: S311
    first, step = datetime(2024, 1, 1), timedelta(milliseconds=8)  # noqa: DTZ001
    for number in range(1, ROWS + 1):
        yield [
            (first + number * step).isoformat(sep=" ", timespec="milliseconds"),
            str(number),
            f"{chance.randrange(100_000) / 100:.2f}",
            str(number % 97),
            METHODS[number % len(METHODS)],
            "true" if number % 3 == 0 else "false",
            f"{chance.getrandbits(128):032x}",
        ]


def _source(folder: Path, name: str, **dialect: object) -> Callable[[], int]:
    from evergreen.sources.files.locate import LocatedFile
    from evergreen.sources.files.text_files import read_csv_files
    from evergreen.sources.text.dialect import CsvDialect

    file = LocatedFile(name, path=folder / name)
    said = CsvDialect.model_validate(dialect)
    return lambda: sum(batch.num_rows for batch in read_csv_files([file], said, {}))


def _utf8(folder: Path) -> Callable[[], int]:
    return _source(folder, "utf8.csv")


def _cp1252(folder: Path) -> Callable[[], int]:
    return _source(folder, "cp1252.csv", encoding="cp1252", delimiter=";", decimal=",")


def _pyarrow(folder: Path) -> Callable[[], int]:
    from pyarrow import csv

    return lambda: sum(batch.num_rows for batch in csv.open_csv(folder / "utf8.csv"))


_READERS = {"pyarrow": _pyarrow, "utf8": _utf8, "cp1252": _cp1252}


def main() -> None:
    """Read one of the files, warm."""
    folder, name = sys.argv[1:]
    run = _READERS[name](Path(folder))

    def checked() -> None:
        assert run() == ROWS

    tell(checked)


if __name__ == "__main__":
    main()
