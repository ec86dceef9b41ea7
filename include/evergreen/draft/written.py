"""The texts of a drafted folder. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from evergreen.calendar.drafted import DRAFTS
from evergreen.draft.guesses import MARK
from evergreen.draft.model import HOLDOUT
from evergreen.draft.plan import Plan
from evergreen.lake import PARTITION
from evergreen.shown import shown
from evergreen.sources.look.description import source_yaml
from evergreen.task import Task

FUNCTION = "features.py"


def description_text(plan: Plan) -> str:
    """The text of `pipeline.yaml`: each guess is a comment above the key that it is about."""
    blocks = [
        *_head(plan),
        *_when(plan),
        *_source(plan),
        *_model(plan),
    ]
    return "\n".join(blocks) + "\n"


def _head(plan: Plan) -> Iterator[str]:
    rows = f"{'all' if plan.look.is_whole else 'the first'} {plan.columns.count:,} rows"
    yield f"# Drafted from {rows} of {shown(plan.look.source)}."
    yield "# What these rows alone told is marked as a guess: mend it if it is wrong, and delete its comment."
    yield f"# evergreen check {plan.name} lists those that are left."
    yield f"name: {plan.name}"
    yield f"description: {_flow(_sentence(plan))}"
    yield _guess("who answers for it is not in the data")
    yield "owner: unknown"


def _sentence(plan: Plan) -> str:
    return f"{shown(plan.target.column)} by {plan.look.name}"


def _when(plan: Plan) -> Iterator[str]:
    draft = DRAFTS[plan.times.grain]
    yield _guess(f"{draft.when}, in UTC (timezone: Europe/Berlin is another)")
    yield f'schedule: "{draft.schedule}"'
    if plan.times.first is not None:
        yield f"start: {plan.times.first.date().isoformat()}"
    remedy = "; snapshot if all rows belong together" if plan.times.column else ""
    yield _guess(f"{plan.times.why}{remedy}")
    yield f"partition: {plan.times.grain}"


def _source(plan: Plan) -> Iterator[str]:
    for doubt in plan.look.unsure:
        if not doubt.startswith("time_column:"):
            yield _guess(doubt)
    if plan.times.others:
        yield _guess(f"time_column: {_or(plan.times.others)} could be the event time too")
    if "changed" in plan.config:
        yield _guess(f"changed: '{plan.times.changed}' is set whenever a row is written, and has an index")
    yield source_yaml(plan.look.name, plan.look.kind, plan.config).rstrip("\n")
    others = f"; {_or([', '.join(one) for one in plan.key.others])} would do too" if plan.key.others else ""
    yield _guess(f"{plan.key.why}{others}")
    yield f"key: {_flow(list(plan.key.columns))}"


def _model(plan: Plan) -> Iterator[str]:
    target, model = plan.target, plan.model
    if plan.has_function:
        yield f'features: {{function: "{FUNCTION}:build"}}'
    others = f"; {_or(target.others)} could be meant too" if target.others else ""
    yield _guess(f"{target.why}{others}")
    yield f"target: {_flow(target.column)}"
    yield _guess(_why_task(plan))
    yield f"task: {target.task}"
    if target.is_binary:
        positive = _positive(plan)
        yield _guess(f"the class that is looked for, {_share(plan, positive)} of the rows")
        yield f"positive: {_flow(positive)}"
    yield "training:"
    if model.window:
        yield f"  window: {model.window}"
        yield f"  minimum: {model.minimum} # before the first training"
    yield f"  holdout: {HOLDOUT:.0%}"
    yield "  " + _guess(model.why_metric)
    yield f"  metric: {model.metric}"
    yield "  candidates: # each with the steps that it needs for text, missing values and units"
    yield from (f"    - {_flow(one)}" for one in model.candidates)
    yield "gate:"
    yield "  " + _guess(
        f"{model.why_margin}; limits: {{{model.metric}: ...}} says what is good enough at all"
    )
    yield f"  champion: {{margin: {model.margin}}}"


def _why_task(plan: Plan) -> str:
    target = plan.target
    distinct = plan.columns.found[target.column].distinct
    if target.task is Task.REGRESSION:
        return f"it is a number with {distinct:,} different values"
    if plan.columns.is_number(target.column):
        return f"it has only {distinct:,} different whole numbers; regression if they are a quantity"
    return f"it has {distinct:,} different values"


def _positive(plan: Plan) -> Any:
    """The rarer of two classes; of two that come about as often the last in their order."""
    (often, most), (rare, least) = plan.target.classes
    value = max(often, rare, key=str) if 2 * least > most else rare
    return int(value) if isinstance(value, float) else value  # type: ignore[call-overload]


def _share(plan: Plan, positive: Any) -> str:
    rows = dict(plan.target.classes)
    return f"{rows[positive] / sum(rows.values()):.1%}"


def features_text(plan: Plan) -> str:
    """The text of `features.py`."""
    return "\n".join(_features(plan)) + "\n"


def _features(plan: Plan) -> Iterator[str]:
    yield f'"""Features of {plan.name}: what a model may know of a row when it is scored."""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "import pandas as pd"
    yield ""
    named = [one for one in plan.key.columns if one not in (*plan.things, plan.times.column)]
    own = [*named, *([plan.times.column] if plan.times.column else []), plan.target.column, PARTITION]
    yield "# Key, event time and target, and the lake's own column."
    yield f"NO_FEATURES = [{', '.join(map(_quoted, own))}]"
    yield ""
    dropped = "NO_FEATURES"
    if plan.left_out:
        dropped = "[*NO_FEATURES, *LEFT_OUT]"
        yield _guess("what these columns say would not help a model, or is not known in time")
        yield "LEFT_OUT = {"
        yield from (f"    {_quoted(name)}: {_quoted(why)}," for name, why in plan.left_out.items())
        yield "}"
        yield ""
    yield ""
    yield "def build(rows: pd.DataFrame) -> pd.DataFrame:"
    yield f'    """{_built(plan)}"""'
    yield f'    features = rows.drop(columns={dropped}, errors="ignore")'
    for name in map(_quoted, filter(plan.columns.is_number, plan.things)):
        yield f"    features[{name}] = rows[{name}].astype(str)  # a name, no quantity"
    for one in plan.calendar:
        yield f"    features[{_quoted(one)}] = rows[{_quoted(plan.times.column)}].dt.{one}"
    yield "    return features"


def _built(plan: Plan) -> str:
    if not plan.calendar:
        return "All columns but those above."
    return f"All columns but those above, and the {' and the '.join(plan.calendar)} of the row (UTC)."


def _quoted(text: object) -> str:
    """A text as Python writes it, in the quotes that a formatter leaves alone."""
    return json.dumps(str(text), ensure_ascii=False)


def _guess(why: str) -> str:
    return f"# {MARK} {''.join(letter if letter.isprintable() else ' ' for letter in why)}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(f"'{shown(name)}'" for name in names)


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return str(text).removesuffix("\n...\n").strip()
