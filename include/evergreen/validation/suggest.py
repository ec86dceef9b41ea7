"""A draft of a suite from the published history: what held there, with some tolerance, for people to edit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.spec import Spec
from evergreen.task import Task
from evergreen.validation.codes import Codes, codes_of
from evergreen.validation.history import Limit
from evergreen.validation.profile import ColumnProfile, Profile, Profiler

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

# A text column with at most this many values, which are short and frequent enough, is treated as a set.
_VALUES, _LENGTH, _TIMES = 20, 50, 5
_EXACT = 2**53  # Great Expectations keeps bounds as floats


@dataclass(frozen=True)
class Draft:
    """The YAML of a suite, and the partitions it was drafted from: their number, `first` and `last`."""

    text: str
    first: str
    last: str
    partitions: int
    rows: int


def suggest(pipeline: Pipeline, last: int) -> Draft:
    """A draft from the `last` partitions that are published; raises `NotFoundError` if there is none.

    All of them pass the draft without a quarantined row. Reads as many partitions before them too, for limits
    by history. Holds the rows in memory.
    """
    published = pipeline.lake.partitions()[-2 * last :]
    if not published:
        raise NotFoundError(
            f"{pipeline.name}: no partition is published yet: run evergreen ingest {pipeline.name} first"
        )
    rows = pipeline.lake.read(Table.PARTITIONS, published[0], published[-1])
    return draft(pipeline.spec, rows, last)


def draft(spec: Spec, rows: pa.Table, last: int, of: str | None = None) -> Draft:
    """A draft from the `last` partitions of rows that are sorted by partition; those before are history.

    With `of`, which says what the rows are, the draft is from all of them, and `last` is only how many
    partitions a limit by history looks at.
    """
    profiles = _profiles(rows)
    keys = list(profiles)[-last:] if of is None else list(profiles)
    seen = rows.slice(sum(profile.rows for profile in list(profiles.values())[: -len(keys)]))
    seen = seen.drop_columns([PARTITION])
    history = _History(spec, list(profiles.values()), len(keys), last)
    whole = _profile(seen)
    columns = [name for name in seen.column_names if name not in {*spec.keys, spec.time_column}]
    blocks = [
        _header(spec, keys, whole.rows, of or "what was published"),
        _table(spec, seen, history),
        *(_column(spec, seen, whole.columns[name], name, history) for name in columns),
    ]
    text = "\n\n".join("\n".join(block) for block in blocks) + "\n"
    return Draft(text, keys[0], keys[-1], len(keys), whole.rows)


@dataclass(frozen=True)
class _History:
    """The profiles of all partitions that were read, the last `drafted` of which the draft is made from."""

    spec: Spec
    profiles: Sequence[Profile]
    drafted: int
    last: int

    def limit(self, of: str, **more: float) -> dict[str, Any]:
        """A limit by history, as written in an expectation."""
        return {"last": f"{self.last} partition{'s' if self.last > 1 else ''}", "of": of, **more}

    def compared(self, of: str, column: str | None = None) -> list[tuple[Profile, float]]:
        """Each partition that has enough others before it, with the median of the figure over those."""
        if not self.spec.calendar.has_time:
            return []
        limit = Limit.read(self.limit(of), column)
        start = len(self.profiles) - self.drafted
        medians = [
            (profile, limit.value(self.profiles[:number])) for number, profile in enumerate(self.profiles)
        ]
        return [(profile, value) for profile, value in medians[start:] if isinstance(value, float)]

    def most_nulls(self, name: str) -> float:
        """The largest share of nulls that a partition has in a column."""
        drafted = self.profiles[-self.drafted :]
        return max((p.columns[name].nulls / p.rows for p in drafted if p.rows), default=0.0)


def _profiles(rows: pa.Table) -> dict[str, Profile]:
    profiles, start = {}, 0
    for entry in pc.value_counts(rows.column(PARTITION)).to_pylist():
        profiles[entry["values"]] = _profile(rows.slice(start, entry["counts"]).drop_columns([PARTITION]))
        start += entry["counts"]
    return profiles


def _profile(rows: pa.Table) -> Profile:
    profiler = Profiler(rows.schema)
    for batch in rows.to_batches():
        profiler.add(batch)
    return profiler.profile()


def _header(spec: Spec, keys: Sequence[str], rows: int, of: str) -> list[str]:
    seen = f"{len(keys)} partitions, {keys[0]} to {keys[-1]}" if len(keys) > 1 else f"partition {keys[0]}"
    return [
        f"# A draft for {spec.name} from {of}: {seen}, {rows} rows.",
        "# It describes past data, not what must hold: review each line, and delete what you cannot explain.",
        "# critical (the default) refuses a partition, warning sends rows to quarantine, info is reported.",
        f"# That {_listed(spec.keys)} {'is' if len(spec.keys) == 1 else 'are'} present and unique "
        "is always checked.",
    ]


def _table(spec: Spec, seen: pa.Table, history: _History) -> list[str]:
    lines = [f"# -- the table: {len(seen.column_names)} columns"]
    exact = {} if spec.validation.schema_change != "evolve" else {"exact_match": False}
    lines += _entry("expect_table_columns_to_match_set", {"column_set": seen.column_names, **exact})
    drafted = [profile.rows for profile in history.profiles[-history.drafted :]]
    lines += ["", f"# -- rows: {min(drafted)} to {max(drafted)} a partition"]
    if not spec.calendar.has_time:
        return lines + _entry(
            "expect_table_row_count_to_be_between", {"min_value": max(1, min(drafted) // 2)}
        )
    usual = all(
        0.5 * median <= profile.rows <= 2 * median for profile, median in history.compared("row_count")
    )
    if not usual:
        lines.append("# Some had less than half or more than twice the usual rows, so it is only reported.")
    bounds = {
        "min_value": history.limit("row_count", times=0.5),
        "max_value": history.limit("row_count", times=2),
    }
    return lines + _entry("expect_table_row_count_to_be_between", bounds, "critical" if usual else "info")


def _column(spec: Spec, seen: pa.Table, found: ColumnProfile, name: str, history: _History) -> list[str]:
    kind = seen.schema.field(name).type
    words = [str(kind)]
    if isinstance(found.mean, float):
        words.append(f"{found.min:g} to {found.max:g}, mean {found.mean:.4g}")
    if found.infinite:
        words.append(f"{found.infinite} infinite values, so no range is expected")
    if found.nulls == len(seen):
        lines = [f"# -- {_listed([name])}: {kind}, no value so far: the first one is reported"]
        return lines + _entry("expect_column_values_to_be_null", {"column": name}, "info")
    most = history.most_nulls(name)
    words.append(f"nulls: up to {most:.1%} of a partition" if most else "no nulls")
    lines = [f"# -- {_listed([name])}: {', '.join(words)}", *_nulls(spec, name, most)]
    if _is_text(kind):
        lines += _text(seen.column(name), name)
    elif isinstance(found.mean, float) and not found.infinite:
        is_quantity = name in spec.targets and spec.task is Task.REGRESSION
        whole = None if is_quantity or pa.types.is_decimal(kind) else codes_of(seen.column(name), name)
        lines += _number(kind, found, name, history) if whole is None else _codes(kind, whole, name)
    return lines


def _codes(kind: pa.DataType, codes: Codes, name: str) -> Iterator[str]:
    if not _is_text(kind):
        yield from _type(kind, name)
    yield from _code_set(codes, name)


def _code_set(codes: Codes, name: str) -> Iterator[str]:
    if codes.values is None:
        yield "# Codes: they are too many for a set, and have no size of which anything could be expected."
        return
    if codes.grow:
        yield "# New codes have come lately, so one that is not known is only reported."
    known = {"column": name, "value_set": codes.values}
    yield from _entry("expect_column_values_to_be_in_set", known, "info" if codes.grow else "warning")


def _nulls(spec: Spec, name: str, most: float) -> Iterator[str]:
    if not most:
        severity = "critical" if name in spec.targets else "warning"
        yield from _entry("expect_column_values_to_not_be_null", {"column": name}, severity)
        return
    mostly = math.floor((1 - 2 * most) * 100) / 100
    if mostly >= 0.5:
        yield "# Twice as many nulls refuse the partition."
        yield from _entry("expect_column_values_to_not_be_null", {"column": name, "mostly": mostly})


def _text(values: pa.ChunkedArray, name: str) -> Iterator[str]:
    values = values.cast(pa.string()).drop_null()
    if not len(values):
        return
    lengths = pc.min_max(pc.utf8_length(values)).as_py()
    distinct = pc.unique(values)
    if len(distinct) <= _VALUES and len(distinct) * _TIMES <= len(values) and lengths["max"] <= _LENGTH:
        known = {"column": name, "value_set": sorted(distinct.to_pylist())}
        yield from _entry("expect_column_values_to_be_in_set", known, "warning")
        return
    codes = codes_of(values, name)
    if codes is not None and codes.values is not None:
        yield from _code_set(codes, name)
        return
    bounds = {"min_value": min(1, lengths["min"]), "max_value": max(1, 2 * lengths["max"])}
    yield from _entry("expect_column_value_lengths_to_be_between", {"column": name, **bounds}, "warning")


def _type(kind: pa.DataType, name: str) -> Iterator[str]:
    if not pa.types.is_decimal(kind):
        types = ["int64", "float64"] if pa.types.is_integer(kind) else ["float64"]
        known = {"column": name, "type_list": [*dict.fromkeys([_numpy_name(kind), *types])]}
        yield from _entry("expect_column_values_to_be_in_type_list", known, "info")


def _number(kind: pa.DataType, found: ColumnProfile, name: str, history: _History) -> Iterator[str]:
    yield from _type(kind, name)
    assert isinstance(found.min, int | float)
    assert isinstance(found.max, int | float)
    low, high = wide(found.min, found.max)
    if max(abs(low), abs(high)) < _EXACT:
        between = {"column": name, "min_value": low, "max_value": high}
        yield from _entry("expect_column_values_to_be_between", between, "warning")
    compared = ((profile.columns[name].mean, usual) for profile, usual in history.compared("mean", name))
    apart = [abs(mean - usual) for mean, usual in compared if mean is not None]
    if apart and 1e-290 < max(apart) < 1e290 and not pa.types.is_decimal(kind):
        room = _rounded(2 * max(apart), math.ceil)
        yield f"# Its mean was never further than {max(apart):.3g} from the usual one."
        bounds = {
            "min_value": history.limit("mean", plus=-room),
            "max_value": history.limit("mean", plus=room),
        }
        yield from _entry("expect_column_mean_to_be_between", {"column": name, **bounds}, "info")


def wide(low: float | int, high: float | int) -> tuple[float | int, float | int]:
    """A range widened by half its width on each side, in round numbers; not below 0 if no value was.

    A range that is too narrow or too wide to be rounded as floats stays as it is.
    """
    span = high - low or max(abs(high), 1)
    if not 1e-290 < span < 1e290:
        return low, high
    step = 10 ** (math.floor(math.log10(span)) - 1)
    whole = isinstance(low, int) and isinstance(high, int)
    digits = 0 if whole else max(0, 1 - math.floor(math.log10(span)))
    least = 0 if low >= 0 and low < span / 2 else math.floor((low - span / 2) / step) * step
    most = math.ceil((high + span / 2) / step) * step
    if whole:
        return min(low, math.floor(least)), max(high, math.ceil(most))
    return min(low, round(float(least), digits)), max(high, round(float(most), digits))


def _rounded(value: float, how: Any) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{how(value / step) * step:.3g}")


def _numpy_name(kind: pa.DataType) -> str:
    return str(kind.to_pandas_dtype().__name__)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _entry(name: str, arguments: dict[str, Any], severity: str = "critical") -> list[str]:
    lines = [f"- {name}: {_flow(arguments)}"]
    return lines if severity == "critical" else [*lines, f"  severity: {severity}"]


def _listed(names: Sequence[str]) -> str:
    """Names as YAML writes them, escaped so that none can break out of a comment's line."""
    return _flow(list(names))[1:-1]


def _flow(value: Any) -> str:
    shown = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf
    )
    return str(shown).strip()


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines in one, with escapes."""


def _text_node(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if len(value.splitlines()) > 1 or value != value.strip() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text_node)
