"""Trainings of a snapshot: what a version keeps for the next one, and how the next is compared with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.asked.finding import Asked, Together
from evergreen.candidates.fit import fit_challenger
from evergreen.connections import Connection
from evergreen.errors import IntegrityError
from evergreen.evaluation.evaluate import Evaluation, evaluate
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from evergreen.lake import Table
from evergreen.monitoring.reference import build_reference
from evergreen.pipeline import Pipeline
from evergreen.registry.registry import Registry
from evergreen.registry.signature import Keys, Signatures
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training import stage
from evergreen.training.version_files import FIT_ON, read_copy, version_files
from evergreen.training_set.assemble import assemble
from evergreen.training_set.units import Units

REASON = {"sentence": "a test asked for it"}
SEARCH = "search: {C: [0.01, 10, log]}"
COPY = {"evaluated.skops", "fit_on.parquet"}


@pytest.fixture
def shop(make_spec: Callable[..., Spec], snapshot: str, storage: Storage) -> Pipeline:
    spec = make_spec(
        snapshot.replace("training:\n", "gate: {champion: {margin: 50%}}\ntraining:\n"),
        {SEARCH: "params: {C: 1.0}"},
        features="def build(rows):\n    return rows[['spent', 'visits']]\n",
    )
    return Pipeline(spec, storage)


def publish(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(rows.drop(columns="partition"), preserve_index=False)
    table = table.set_column(table.schema.get_field_index("loyal"), "loyal", table["loyal"].cast(pa.string()))
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": table})


def grown(people: pd.DataFrame) -> pd.DataFrame:
    """The same 120 people with other values and in another order, and 40 new ones."""
    new = people.head(40).assign(person=np.arange(1000, 1040))
    rows = pd.concat([people.assign(visits=people["visits"] + 1), new])
    return rows.sample(frac=1, random_state=1).reset_index(drop=True)


def evaluation_of(pipeline: Pipeline, version: str) -> Evaluation:
    return Evaluation.from_dict(json.loads(pipeline.registry.read(version, "metrics.json"))["evaluation"])


def test_a_version_keeps_the_copy_and_what_it_was_fit_on(shop: Pipeline, people: pd.DataFrame) -> None:
    publish(shop, people)
    trained = stage.train(shop, None, REASON)
    assert trained.promoted, trained.verdict.sentence
    assert set(shop.registry.files(trained.version)) >= COPY
    copy = read_copy(shop.registry, trained.version)
    assert copy is not None
    known = Units.of(shop.spec, people).among(copy.fit_on)
    assert known.sum() == 96
    # It is the model that was measured: fit on these rows, it gives what the version promises on the others.
    right = copy.model.predict(people[["spent", "visits"]][~known]) == people["loyal"][~known]
    assert right.mean() == pytest.approx(trained.metrics["accuracy"])
    again = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
    again.fit(people[["spent", "visits"]][known], people["loyal"][known])
    assert (
        copy.model.predict(people[["spent", "visits"]]) == again.predict(people[["spent", "visits"]])
    ).all()
    assert shop.registry.verify() == []


def test_the_next_is_compared_with_the_copy_by_tasks_as_by_the_shell(
    shop: Pipeline, people: pd.DataFrame
) -> None:
    publish(shop, people)
    first = stage.train(shop, None, REASON)
    publish(shop, grown(people))
    version = stage.stage_training_set(shop, None, REASON, "run-1")
    stage.stage_challenger(shop, "run-1")
    evaluation = stage.stage_evaluation(shop, "run-1")
    verdict = stage.commit_version(shop, "run-1").verdict
    champion = evaluation.champion
    assert champion is not None
    assert (champion["version"], champion["problem"], champion["seen"]) == (first.version, None, False)
    assert evaluation.rows == 32
    assert evaluation.compared_rows == evaluation.rows - champion["left_out"]
    assert champion["left_out"] < 8
    assert verdict.outcome is not Outcome.WORSE
    (check,) = [check for check in verdict.checks if check.name == "champion"]
    assert "the champion's copy that was fit without a hold-out is compared" in check.detail
    card = shop.registry.read(version, "card.html").decode()
    assert "copy that was fit without a hold-out, not the model in force" in card
    assert set(shop.registry.files(version)) >= COPY
    assert evaluation_of(shop, version) == evaluation


def test_a_version_of_an_older_release_is_compared_as_it_was(shop: Pipeline, people: pd.DataFrame) -> None:
    publish(shop, people)
    first = stage.train(shop, None, REASON)
    files = {
        name: shop.registry.read(first.version, name)
        for name in shop.registry.files(first.version)
        if name not in COPY
    }
    older = "snapshot-0123456789ab"
    shop.registry.commit(older, files)
    shop.registry.promote(older, "snapshot", REASON)
    assert read_copy(shop.registry, older) is None
    publish(shop, grown(people))
    found = evaluation_of(shop, stage.train(shop, None, REASON).version)
    assert found.champion is not None
    assert (found.champion["version"], found.champion["seen"]) == (older, True)
    assert found.compared_rows == found.rows
    assert found.champion["no_copy"] == "it has no copy that was fit without them"


@pytest.mark.parametrize("name", sorted(COPY))
def test_a_damaged_copy_is_not_used_and_nothing_is_promoted(
    shop: Pipeline, people: pd.DataFrame, name: str
) -> None:
    publish(shop, people)
    first = stage.train(shop, None, REASON)
    shop.storage.stage(f"sales/models/{first.version}/{name}", b"damaged")
    publish(shop, grown(people))
    trained = stage.train(shop, None, REASON)
    assert trained.verdict.outcome is Outcome.INCONCLUSIVE
    assert f"'{name}' has 7 bytes" in trained.verdict.sentence
    assert shop.registry.champion() == first.version
    assert any(f"'{name}'" in problem for problem in shop.registry.verify())


def files_of(spec: Spec, rows: pd.DataFrame, as_of: str, **changes: object) -> set[str]:
    """The names of a version's files; `changes` are made to the chosen candidate."""
    training_set = assemble(spec, rows, as_of, None, REASON)
    fit = fit_challenger(spec, training_set)
    challenger = replace(fit, candidate={**fit.candidate, **changes})
    found = evaluate(spec, training_set, challenger, None)
    reference = build_reference(spec, training_set, found, challenger)
    verdict = judge(spec, found)
    return set(
        version_files(
            spec, training_set, challenger, found, verdict, reference=reference, asked=Asked(Together.ROW)
        )
    )


def test_with_time_and_for_a_pretrained_model_there_is_no_copy(
    shop: Pipeline, make_spec: Callable[..., Spec], daily_rows: pd.DataFrame, people: pd.DataFrame
) -> None:
    assert files_of(shop.spec, people, "snapshot") >= COPY
    assert not files_of(shop.spec, people, "snapshot", pretrained={"key": "a.skops"}) & COPY
    assert not files_of(make_spec(), daily_rows, "2024-02-10") & COPY


def test_the_copy_is_signed_and_not_loaded_without_a_valid_signature(
    shop: Pipeline, people: pd.DataFrame, storage: Storage
) -> None:
    publish(shop, people)
    version = stage.train(shop, None, REASON).version
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signatures = Signatures(lambda: Keys.of(Connection("signing", "generic", password=pem)), required=True)
    strict = Registry(storage.child("sales"), "sales", signatures, shop.spec.folder.parent)
    with pytest.raises(IntegrityError, match="it is not signed: it is not loaded"):
        read_copy(strict, version)
    files = {name: shop.registry.read(version, name) for name in shop.registry.files(version)}
    strict.commit("snapshot-0123456789ab", files)
    assert read_copy(strict, "snapshot-0123456789ab") is not None
    assert not [problem for problem in strict.verify() if "0123456789ab" in problem]


def test_the_copy_goes_with_its_version(shop: Pipeline, people: pd.DataFrame) -> None:
    publish(shop, people)
    first = stage.train(shop, None, REASON).version
    publish(shop, grown(people))
    second = stage.train(shop, None, REASON).version
    if shop.registry.champion() != second:
        shop.registry.promote(second, "snapshot", REASON)
    shop.registry.rollback()
    cleaned = shop.registry.clean(timedelta(0), datetime.now(UTC) + timedelta(days=1))
    assert cleaned.versions == (second,)
    assert [key for key in shop.storage.list("sales/models/") if second in key] == []
    assert shop.storage.exists(f"sales/models/{first}/{FIT_ON}")
