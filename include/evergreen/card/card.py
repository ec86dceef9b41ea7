"""The model card of a version: one self-contained HTML page without scripts, for the person who decides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evergreen.card import comparison
from evergreen.card.decision import decided, signal_rows
from evergreen.card.limits import feature_rows, limits
from evergreen.card.threshold import decision_in_words, threshold_figures
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.metrics import metric_named
from evergreen.numbers import number, percent
from evergreen.pages import plots
from evergreen.pages.templates import template
from evergreen.spec import Spec

_FOLDER = Path(__file__).resolve().parent
_BEST_TRIALS = 5
_REASONS = 6  # at the top, for a refusal


def render_card(
    spec: Spec,
    lineage: Mapping[str, Any],
    evaluation: Evaluation,
    verdict: Verdict,
    explanation: Mapping[str, Any] | None = None,
    *,
    unvaried: Sequence[str] = (),
    promise: str = "",
    asked: str = "",
) -> str:
    """The card of a version: the model, the reason for its training, its metrics, and the gate's verdict.

    `lineage` is the content of the version's `lineage.json`, with `candidate` and `trials`, and `explanation`
    that of its `explanation.json`. `unvaried` are sentences on features that hardly vary in the window and on
    classes that are too rare to judge, `promise` is a clause on a promise that is much worse than its
    predecessor's, and `asked` a sentence on what may be asked for online. Parts without data (no explanation,
    or an older evaluation) are left out. All text is escaped.
    """
    explanation = explanation or {}
    losses = comparison.champion_losses(spec, evaluation)
    measure = metric_named(evaluation.metric).with_unit
    return template(_FOLDER, "card.html.jinja").render(
        spec=spec,
        load=load_snippet(spec, lineage),
        lineage=lineage,
        evaluation=evaluation,
        verdict=verdict,
        mark=_mark(verdict),
        colour=Outcome.INCONCLUSIVE if verdict.waits else verdict.outcome,
        decision=decision(spec, lineage, evaluation, verdict),
        answer=_answer(spec, evaluation, verdict),
        reasons=_reasons(verdict),
        checks=sorted(verdict.checks, key=lambda check: check.passed),
        reason=reason_sentence(lineage["reason"]),
        promise=promise,
        asked=asked,
        signals=signal_rows(lineage["reason"]),
        decided=decided(lineage["reason"]),
        metrics=comparison.metric_rows(evaluation),
        measure=measure,
        threshold=decision_in_words(lineage["candidate"]),
        confidence=percent(spec.gate.champion.confidence),
        against=comparison.against_champion(spec, evaluation.comparison) if evaluation.comparison else [],
        losses=plots.loss_intervals("losses", measure, losses) if losses else None,
        slices=comparison.slice_lines(spec, evaluation),
        coverage=comparison.coverage_lines(evaluation),
        fairness=comparison.fairness_lines(spec, evaluation),
        resources=comparison.resource_lines(spec, evaluation),
        errors=list(_errors(spec, lineage, explanation, evaluation.rows)),
        choice=list(_choice(explanation)),
        data=list(_data(explanation)),
        window=explanation.get("window"),
        features=feature_rows(explanation["window"]) if "window" in explanation else [],
        clusters=(explanation.get("clusters") or {}).get("clusters", []),
        sampled=explanation.get("rows"),
        trials=_best_trials(spec, lineage["trials"]),
        limits=limits(spec, lineage, evaluation, explanation, unvaried),
        number=number,
        percent=percent,
        text=_text,
    )


def decision(spec: Spec, lineage: Mapping[str, Any], evaluation: Evaluation, verdict: Verdict) -> str:
    """The consequence of the verdict, in one sentence."""
    champion = (evaluation.champion or {}).get("version")
    since = f" from {lineage['as_of']} on" if spec.calendar.has_time else ""
    stays = f"champion {champion} stays in force" if champion else "there is still no champion"
    if verdict.shadow:
        wanted = f"its shadow has been asked {verdict.shadow:,} rows beside it"
        return f"No check of the gate failed, and this pipeline asks for a shadow: {stays} until {wanted}."
    match verdict.outcome:
        case Outcome.PROMOTED if verdict.needs_approval:
            return "All checks of the gate passed, and this pipeline requires approval: you decide."
        case Outcome.PROMOTED:
            does = f"it replaces champion {champion}" if champion else "it is the first champion"
            return f"The gate promotes this version: {does}{since}."
        case Outcome.WORSE:
            return f"This version is worse than the gate allows: {stays}."
    if verdict.needs_approval:
        return "The comparison with the champion is inconclusive, and all other checks passed: you decide."
    tried = ", and this version goes on trial beside it" if champion and spec.calendar.has_time else ""
    return f"The comparison with the champion is inconclusive, and all other checks passed: {stays}{tried}."


def reason_sentence(reason: Mapping[str, Any]) -> str:
    """Why a training was started, in words."""
    if "sentence" in reason:
        return str(reason["sentence"])
    said = ", ".join(f"{name}: {value}" for name, value in reason.items())
    return said or "no reason was given"


def load_snippet(spec: Spec, lineage: Mapping[str, Any]) -> str:
    """Python that loads the version and predicts the newest partition of its window."""
    newest = lineage["window"]["last"]
    return "\n".join(
        (
            "import evergreen",
            "",
            f'pipeline = evergreen.open("{spec.name}")',
            f'model = pipeline.version("{lineage["version"]}")',
            f'predictions = model.predict("{newest}")',
        )
    )


def _mark(verdict: Verdict) -> str:
    if verdict.shadow:
        return "waits for its shadow"
    return "a person decides" if verdict.needs_approval else verdict.outcome.value


def _reasons(verdict: Verdict) -> list[str]:
    """The first checks that did not pass, in the gate's words."""
    failed = [check.detail for check in verdict.checks if not check.passed]
    if not failed:
        return [f"All {len(verdict.checks)} checks passed."]
    more = [f"and {len(failed) - _REASONS} more: see below"] if len(failed) > _REASONS else []
    return [*failed[:_REASONS], *more]


def _answer(spec: Spec, evaluation: Evaluation, verdict: Verdict) -> dict[str, str] | None:
    """The consequence of each answer; None if nobody is asked, or not yet."""
    if not verdict.needs_approval or verdict.shadow:
        return None
    champion = (evaluation.champion or {}).get("version")
    stays = f"champion {champion} stays in force" if champion else "there is still no champion"
    approval = spec.gate.approval
    return {
        "approve": f"it replaces champion {champion}" if champion else "it is the first champion",
        "reject": f"{stays}; also without an answer in time" if approval else stays,
        "by": ", ".join(approval.by) if approval else "",
    }


def _errors(
    spec: Spec, lineage: Mapping[str, Any], explanation: Mapping[str, Any], rows: int
) -> Iterator[tuple[str, Markup]]:
    """Figures of the challenger's errors on the `rows` held out, each with advice on how to read it."""
    residuals, unit = explanation.get("residuals"), spec.target or ""
    if residuals and residuals["points"]:
        yield (
            "A cloud around zero is good. A slope or a fan is a pattern that the model has not learnt.",
            plots.residuals_over_predictions(residuals, unit),
        )
        if residuals["over_time"]:
            yield (
                "Bars on one side, or growing, mean that the level has moved since the training.",
                plots.residuals_over_time(residuals["over_time"], unit),
            )
        if residuals["histogram"]:
            yield (
                "The middle 98% of the residuals; right of zero it predicted too little.",
                plots.residual_histogram(residuals["histogram"], unit),
            )
    yield from threshold_figures(spec, lineage["candidate"], explanation, rows)
    reliability = explanation.get("reliability")
    if reliability and len(reliability["bins"]) > 1:
        yield (
            "On the diagonal the probabilities are calibrated; bars are 95% intervals.",
            plots.reliability_curve(reliability),
        )
    if clusters := explanation.get("clusters"):
        yield "A cluster of a few rows may be no more than outliers.", plots.cluster_sizes(clusters)
        if clusters["points"]:
            yield (
                "Clusters that are separate here are separate; those that overlap here may be separate too.",
                plots.cluster_plane(clusters),
            )


def _choice(explanation: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    """Figures of contributions, of the importance of features and of the search."""
    contributions = explanation.get("contributions")
    if contributions and contributions["features"]:
        yield (
            "How far each feature moves a prediction on average. ↑: the prediction rises with its values.",
            plots.contribution_bars(contributions),
        )
    importance = explanation.get("importance")
    if importance and importance["features"]:
        yield (
            "Its values are shuffled over the rows. Features with the same information share importance.",
            plots.importance_bars(importance, metric_named(explanation["metric"]).with_unit),
        )
    search = explanation.get("search")
    if search and len(search["trials"]) > 1:
        yield (
            "Each dot is a trial, the line the best so far. If it improves to the end, run more trials.",
            plots.trial_scores(search, metric_named(explanation["metric"]).with_unit),
        )


def _data(explanation: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    """Figures of the data window."""
    window = explanation.get("window")
    if not window:
        return
    target = window["target"]
    if window["over_time"] and len(window["over_time"]) > 1:
        yield (
            "The hold-out should look like the rows that the model will score.",
            plots.target_over_time(window["over_time"], target and target["name"]),
        )
    if target:
        yield (
            "If held-out rows differ from those trained on, every metric here is less certain.",
            plots.target_distribution(target),
        )


def _best_trials(spec: Spec, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    scored = [trial for trial in trials if trial["score"] is not None]
    return sorted(scored, key=lambda trial: spec.metric.loss(trial["score"]))[:_BEST_TRIALS]


def _text(value: Any) -> str:
    """A parameter or a step as text for people."""
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
