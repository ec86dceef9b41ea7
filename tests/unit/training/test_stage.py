"""Training's stages around the gate: what each outcome leads to, and what a person's answer does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest

from evergreen.asked.finding import Together, stored_asked
from evergreen.connections import Connection
from evergreen.errors import NothingToDoError
from evergreen.evaluation.verdict import Outcome
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training import stage
from evergreen.training.approval import Approval
from evergreen.units import SinceChange
from tests.http_peers import Said, serving
from tests.mlflow_peer import SmallMlflow

REASON = {"sentence": "a test asked for it"}
ASK = "gate: {approval: {when: always, within: 2 hours}}"
ASK_IN_DOUBT = "gate: {approval: {when: inconclusive}}"
REFUSE = "gate: {limits: {mae: {max: 0.001}}, approval: {when: always}}"
SHADOW = "serving: {shadow: newest}\ngate: {shadow: 20 rows, champion: {margin: 1000%}}"
SLOW = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"
AS_OF, RUN = "2024-02-01", "run-1"


@pytest.fixture
def opened(
    make_spec: Callable[..., Spec], daily_rows: pd.DataFrame, storage: Storage
) -> Callable[..., Pipeline]:
    """The pipeline `sales` with its forty days published, and these rules of the gate."""

    def open_with(gate: str = "") -> Pipeline:
        spec = make_spec(changes={"training:\n": f"{gate}\ntraining:\n", SLOW: ""})
        pipeline = Pipeline(spec, storage)
        days = {
            str(key): pa.Table.from_pandas(day.drop(columns="partition"), preserve_index=False)
            for key, day in daily_rows.groupby("partition")
        }
        pipeline.lake.replace(Table.PARTITIONS, days)
        return pipeline

    return open_with


def run_to_the_gate(pipeline: Pipeline, as_of: str = AS_OF, run: str = RUN) -> str:
    version = stage.stage_training_set(pipeline, as_of, REASON, run)
    stage.stage_challenger(pipeline, run)
    stage.stage_evaluation(pipeline, run)
    stage.commit_version(pipeline, run)
    return version


def left_in_staging(pipeline: Pipeline) -> list[str]:
    return [key.rpartition("/")[2] for key in pipeline.storage.list(f"{pipeline.name}/staging/")]


def test_what_the_gate_accepts_is_promoted_and_nobody_is_asked(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened(ASK_IN_DOUBT)
    version = run_to_the_gate(pipeline)
    assert stage.open_question(pipeline, RUN) is None
    event = stage.promote_staged(pipeline, RUN)
    assert event is not None
    assert (event.version, event.reason) == (version, REASON)
    trained = stage.train(pipeline, AS_OF, REASON)
    assert (trained.promoted, trained.waits, trained.verdict.outcome) == (True, False, Outcome.PROMOTED)
    explained = json.loads(pipeline.registry.read(version, "explanation.json"))
    assert explained["importance"]


def test_a_feature_that_does_not_vary_is_told_in_the_log_and_on_the_card(
    opened: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = opened()
    code = pipeline.spec.folder / "features.py"
    code.write_text(code.read_text().replace("before=", "shelf=4.0, before="))
    said = "shelf: one value alone in the training window, so a model cannot learn what other values mean."
    version = stage.stage_training_set(pipeline, AS_OF, REASON, RUN)
    assert caplog.messages == [f"sales: {said}"]
    caplog.clear()
    assert stage.train(pipeline, AS_OF, REASON).version == version
    assert f"sales: {said}" in caplog.messages
    card = pipeline.registry.read(version, "card.html").decode()
    assert f"<li>{said}</li>" in card
    asked = stored_asked(pipeline, version)
    assert asked.together is Together.ROW
    assert asked.sentence in card


def test_a_promise_much_worse_than_the_champions_is_told_in_the_log_and_on_the_card(
    opened: Callable[..., Pipeline], daily_rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = opened()
    champion = stage.train(pipeline, "2024-01-25", REASON)
    late = daily_rows["partition"] >= "2024-01-26"
    broken = daily_rows.assign(sold=daily_rows["sold"] + 30 * late)
    days = {
        str(key): pa.Table.from_pandas(day.drop(columns="partition"), preserve_index=False)
        for key, day in broken.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    caplog.clear()
    trained = stage.train(pipeline, AS_OF, REASON)
    figures = [found.metrics["mae"] for found in (trained, champion)]
    assert figures[0] > 5 * figures[1]
    said = f"promised by its predecessor {champion.version}: much worse (tolerance 25%)"
    (told,) = [message for message in caplog.messages if "much worse" in message]
    assert told.startswith(f"sales: {trained.version} promises mean absolute error ")
    assert told.endswith(said)
    assert said in pipeline.registry.read(trained.version, "card.html").decode()
    before = json.loads(pipeline.registry.read(trained.version, "reference.json"))["before"]
    assert before == {"version": champion.version, "promised": champion.metrics}
    # the first version had nobody to be compared with
    assert "before" not in json.loads(pipeline.registry.read(champion.version, "reference.json"))
    assert "What it promises" not in pipeline.registry.read(champion.version, "card.html").decode()


def test_a_champion_without_a_reference_is_no_reason_not_to_train(
    opened: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = opened()
    champion = stage.train(pipeline, "2024-01-25", REASON).version
    pipeline.storage.stage(f"sales/models/{champion}/reference.json", b"{}")
    trained = stage.train(pipeline, AS_OF, REASON)
    assert any("the promise of the champion cannot be compared" in message for message in caplog.messages)
    assert "before" not in json.loads(pipeline.registry.read(trained.version, "reference.json"))


def test_a_training_since_a_change_has_the_same_window_each_time_it_is_run(
    opened: Callable[..., Pipeline],
) -> None:
    pipeline = opened()
    window = pipeline.spec.training.model_copy(update={"window": SinceChange(60, "day")})
    pipeline = Pipeline(pipeline.spec.model_copy(update={"training": window}), pipeline.storage)
    change = {"since": "2024-01-12", "signal": "cusum", "partition": "2024-01-31"}
    asked = {"kind": "cusum", "sentence": "retrain: CUSUM crossed", "evidence": {"change": change}}
    version = stage.stage_training_set(pipeline, AS_OF, asked, RUN)
    stage.stage_challenger(pipeline, RUN)
    stage.stage_evaluation(pipeline, RUN)
    stage.commit_version(pipeline, RUN)
    assert json.loads(pipeline.registry.read(version, "lineage.json"))["window"] == {
        "first": "2024-01-12",
        "last": "2024-01-31",
        "partitions": 20,
        "rows": 120,
        "change": change,
    }
    assert "found in the night of 2024-01-31" in pipeline.registry.read(version, "card.html").decode()
    event = stage.promote_staged(pipeline, RUN)
    assert event is not None
    assert event.reason["evidence"]["change"] == change
    # in a shell, or run again once more is known of the history: what was asked for decides
    again = stage.train(pipeline, AS_OF, asked)
    assert (again.version, again.existed) == (version, True)
    # by hand no break is named, so the window is as long as it may be
    by_hand = stage.train(pipeline, AS_OF, REASON)
    assert by_hand.version != version
    lineage = json.loads(pipeline.registry.read(by_hand.version, "lineage.json"))
    assert (lineage["window"]["first"], "change" in lineage["window"]) == ("2024-01-01", False)


def test_a_champion_that_was_not_compared_with_stays(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened()
    version = run_to_the_gate(pipeline)
    other = run_to_the_gate(pipeline, "2024-01-28", "run-2")
    pipeline.registry.promote(other, "2024-01-28", {"trigger": "by hand"})
    with pytest.raises(NothingToDoError, match=f"compared with no champion, and since then {other} was prom"):
        stage.promote_staged(pipeline, RUN)
    assert pipeline.registry.champion() == other
    assert version != other


def test_a_challenger_waits_for_its_shadow(opened: Callable[..., Pipeline]) -> None:
    champion = stage.train(opened(), "2024-01-28", REASON)  # beside none: there is nothing to be a shadow of
    assert champion.promoted
    pipeline = opened(SHADOW)
    version = run_to_the_gate(pipeline)
    waits = f"{version} waits for its shadow: 0 of 20 rows; .*: until then the champion stays"
    with pytest.raises(NothingToDoError, match=waits):
        stage.open_question(pipeline, RUN)
    with pytest.raises(NothingToDoError, match=waits):
        stage.promote_staged(pipeline, RUN, Approval(version, "ann"))
    assert left_in_staging(pipeline) == ["training.json"]
    trained = stage.train(pipeline, AS_OF, REASON)
    assert (trained.promoted, trained.waits, trained.verdict.shadow) == (False, True, 20)
    assert pipeline.registry.champion() == champion.version
    assert pipeline.registry.challenger() == version
    pipeline.registry.promote(version, AS_OF, {})
    assert stage.promote_staged(pipeline, RUN) is not None


def test_what_the_gate_refuses_is_asked_of_nobody(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened(REFUSE)
    version = run_to_the_gate(pipeline)
    with pytest.raises(NothingToDoError, match=f"sales: {version} worse: .*limit of 0.001.*champion stays"):
        stage.open_question(pipeline, RUN)
    assert left_in_staging(pipeline) == ["training.json"]
    assert stage.promote_staged(pipeline, RUN, Approval(version, "ann")) is None
    assert [event.kind for event in pipeline.registry.history()] == [Kind.REFUSED]
    trained = stage.train(pipeline, AS_OF, REASON)
    assert (trained.promoted, trained.waits) == (False, False)


def test_a_person_s_approval_promotes_the_version_it_names_and_no_other(
    opened: Callable[..., Pipeline],
) -> None:
    pipeline = opened(ASK)
    version = run_to_the_gate(pipeline)
    assert pipeline.registry.history() == []
    question = stage.open_question(pipeline, RUN)
    assert question is not None
    assert question.version == version
    assert question.subject == f"sales: promote {version} to champion?"
    for shown in (
        "a test asked for it",
        f"models/{version}/card.html",
        "| check | result |",
        "would be the first",
    ):
        assert shown in question.text
    for answer in (None, Approval("2024-01-31-000000000000", "ann")):
        with pytest.raises(NothingToDoError, match=f"{version} needs a person's approval and has none"):
            stage.promote_staged(pipeline, RUN, answer)
        assert pipeline.registry.champion() is None
    event = stage.promote_staged(pipeline, RUN, Approval(version, "ann"))
    assert event is not None
    assert event.reason == {**REASON, "approved_by": "ann"}
    assert pipeline.registry.champion() == version
    assert left_in_staging(pipeline) == ["training.json"]
    assert stage.open_question(pipeline, RUN) is None
    assert stage.promote_staged(pipeline, RUN) == event


def test_a_no_is_on_record_and_may_be_thought_over(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened(ASK)
    version = run_to_the_gate(pipeline)
    event = stage.decline_staged(pipeline, RUN, version, "rejected by ann")
    assert event is not None
    assert (event.kind, event.version, event.as_of) == (Kind.REFUSED, version, AS_OF)
    assert event.reason["sentence"] == REASON["sentence"]
    assert event.reason["approval"] == "rejected by ann"
    assert event.reason["gate"].startswith("a person is asked")
    assert left_in_staging(pipeline) == ["training.json"]
    assert stage.decline_staged(pipeline, RUN, version, "rejected by ann") == event
    assert stage.open_question(pipeline, RUN) is not None
    assert stage.promote_staged(pipeline, RUN, Approval(version, "bob")) is not None
    assert [e.kind for e in pipeline.registry.history()] == [Kind.REFUSED, Kind.PROMOTED]


def test_the_shell_leaves_it_to_a_person_and_knows_what_that_person_did(
    opened: Callable[..., Pipeline],
) -> None:
    pipeline = opened(ASK)
    trained = stage.train(pipeline, AS_OF, REASON)
    assert (trained.promoted, trained.waits, trained.verdict.outcome) == (False, True, Outcome.PROMOTED)
    assert pipeline.registry.history() == []
    pipeline.registry.promote(trained.version, AS_OF, {})
    again = stage.train(pipeline, AS_OF, REASON)
    assert (again.promoted, again.waits, again.existed) == (True, False, True)
    assert stage.stage_training_set(pipeline, AS_OF, REASON, RUN) == trained.version
    assert stage.decline_staged(pipeline, RUN, trained.version, "nobody answered") is None
    assert [e.kind for e in pipeline.registry.history()] == [Kind.PROMOTED]


def test_nobody_is_asked_about_a_version_that_was_rolled_back(opened: Callable[..., Pipeline]) -> None:
    pipeline = opened(ASK)
    for as_of in ("2024-01-30", AS_OF):
        version = run_to_the_gate(pipeline, as_of)
        stage.promote_staged(pipeline, RUN, Approval(version, "ann"))
    pipeline.registry.rollback()
    with pytest.raises(NothingToDoError, match=f"{version} was rolled back"):
        stage.open_question(pipeline, RUN)
    with pytest.raises(NothingToDoError, match=f"{version} was rolled back"):
        stage.promote_staged(pipeline, RUN, Approval(version, "ann"))


@pytest.mark.parametrize(("gate", "asks"), [("", False), (ASK_IN_DOUBT, True)])
def test_a_champion_that_breaks_its_golden_promise_cannot_be_compared(
    opened: Callable[..., Pipeline], gate: str, asks: bool
) -> None:
    pipeline = opened(gate)
    champion = stage.train(pipeline, "2024-01-30", REASON)
    assert champion.promoted
    file = pipeline.spec.folder / "features.py"
    file.write_text(file.read_text().replace('rows[["price"]]', '(rows[["price"]] * 100)'))
    trained = stage.train(pipeline, AS_OF, REASON)
    assert trained.verdict.outcome is Outcome.INCONCLUSIVE
    assert trained.waits is asks
    if not asks:
        assert pipeline.registry.history()[-1].reason["verdict"] == "inconclusive"
    stored = json.loads(pipeline.registry.read(trained.version, "metrics.json"))["evaluation"]["champion"]
    assert stored["problem"] == (
        "it was trained with other features than features.py:build gives now, and its own code is not "
        "executed: it is not in the repository, and versions are not signed"
    )
    # One sentence, which does not ask for the training that is under way.
    (check,) = [check for check in trained.verdict.checks if check.name == "champion"]
    assert check.detail == (
        f"the challenger cannot be compared with champion {champion.version} ({stored['problem']}); if it is "
        "the better one, promote it by hand"
    )
    assert pipeline.registry.champion() == champion.version


def test_mlflow_that_fails_delays_no_promotion_and_is_told_by_the_next_training(
    opened: Callable[..., Pipeline], caplog: pytest.LogCaptureFixture
) -> None:
    mlflow = SmallMlflow(authorization="Bearer key")
    with serving(lambda _: Said(500)) as peer:
        connection = Connection("shown", "http", host=peer.address(), password="key")
        pipeline = replace(opened("mlflow: {conn_id: shown}"), connect=lambda _: connection)
        version = run_to_the_gate(pipeline)
        assert peer.asked == []  # it is told once the version is promoted
        stage.promote_staged(pipeline, RUN)
        assert pipeline.registry.champion() == version
        assert [record.getMessage()[:34] for record in caplog.records] == [
            "MLflow is told of it by the next t"
        ]
        peer.behave = mlflow
        assert stage.train(pipeline, AS_OF, REASON).existed
    assert mlflow.models["sales"]["aliases"] == {"champion": "1"}
    [run] = mlflow.runs.values()
    assert (run["info"]["run_name"], run["info"]["status"]) == (version, "FINISHED")
    params = {one["key"] for one in run["data"]["params"]}
    assert {"candidate.estimator", "window.rows"} <= params
    assert run["artifacts"]["card.html"].startswith(b"<!doctype html>")
