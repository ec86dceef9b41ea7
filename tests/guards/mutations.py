"""Guards of the library, each broken in one place: the tests that must see it are part of `make test`."""

from __future__ import annotations

from dataclasses import dataclass

INGEST = "tests/integration/ingestion"
RELEASES = "tests/integration/registry"


@dataclass(frozen=True)
class Mutation:
    """In `file` the text `guard`, which is there once, becomes `broken`; each of `seen_by` must then fail."""

    name: str
    file: str
    guard: str
    broken: str
    seen_by: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "tables are committed without a conditional put",
        "include/evergreen/storage.py",
        '"conditional_put": "etag",',
        '"conditional_put": "disabled", "AWS_S3_ALLOW_UNSAFE_RENAME": "true",',
        ("tests/integration/test_lake.py",),
    ),
    Mutation(
        "the pointer moves without If-Match",
        "include/evergreen/storage.py",
        "Body=body, IfMatch=etag)",
        "Body=body)",
        ("tests/unit/test_storage.py", f"{RELEASES}/test_chaos_s3.py"),
    ),
    Mutation(
        "an event is written over instead of created",
        "include/evergreen/registry/event_log.py",
        "self._storage.create(event_key(event.seq), event.to_json())",
        "self._storage.stage(event_key(event.seq), event.to_json())",
        (f"{RELEASES}/test_races.py",),
    ),
    Mutation(
        "a partition's old file stays beside the new one",
        "include/evergreen/lake.py",
        "for key in differing for old in present.get(key, ())]",
        "for key in differing[:0] for old in present.get(key, ())]",
        ("tests/unit/test_lake.py", f"{INGEST}/test_chaos_kill.py", f"{INGEST}/test_chaos_runs.py"),
    ),
    Mutation(
        "staging is not cleared",
        "include/evergreen/ingestion/stage.py",
        "    staging.clear()\n",
        "",
        (f"{INGEST}/test_chaos_kill.py", f"{INGEST}/test_chaos_postgres.py"),
    ),
    Mutation(
        "only a pipeline's own target is hidden where a partition is scored",
        "include/evergreen/features/build.py",
        "    for target in spec.targets:\n",
        "    for target in spec.targets[:1]:\n",
        ("tests/unit/features/test_build.py",),
    ),
    Mutation(
        "the quarantine is committed after the rows",
        "include/evergreen/ingestion/publish.py",
        """\
    changed = set(lake.replace(Table.QUARANTINE, quarantined, QUARANTINE))
    schema = list(validated.values())[-1].schema
    changed |= set(lake.commit(Table.PARTITIONS, {k: v.file for k, v in validated.items()}, schema))
""",
        """\
    schema = list(validated.values())[-1].schema
    changed = set(lake.commit(Table.PARTITIONS, {k: v.file for k, v in validated.items()}, schema))
    changed |= set(lake.replace(Table.QUARANTINE, quarantined, QUARANTINE))
""",
        (f"{INGEST}/test_chaos_kill.py",),
    ),
    Mutation(
        "a read that goes on begins with the first page again",
        "include/evergreen/sources/http/chain.py",
        """progress = Progress.from_dict(state["progress"])""",
        """progress = Progress(self.asked.first)""",
        (f"{INGEST}/test_api_misbehaves.py",),
    ),
    Mutation(
        "a page that an API sends twice is counted twice",
        "include/evergreen/sources/http/pages.py",
        "digest = self._new_digest(content)\n",
        "digest = None\n",
        (f"{INGEST}/test_api_misbehaves.py",),
    ),
    Mutation(
        "a row that moved is not looked up where it was",
        "include/evergreen/ingestion/changes.py",
        "    found = pipeline.lake.holding(keys, partitions)\n",
        "    found = set[str]()\n",
        (f"{INGEST}/test_changed_rows.py", f"{INGEST}/test_chaos_changed.py"),
    ),
    Mutation(
        "a row that moved is not looked up in quarantine",
        "include/evergreen/ingestion/changes.py",
        "    return found | _in_quarantine(",
        "    return found if keys else _in_quarantine(",
        (f"{INGEST}/test_changed_rows.py", f"{INGEST}/test_chaos_changed.py"),
    ),
    Mutation(
        "a change that was written late is not seen",
        "include/evergreen/ingestion/changes.py",
        "calendar.start(first) - changed.overlap,",
        "calendar.start(first),",
        (f"{INGEST}/test_changed_rows.py", f"{INGEST}/test_chaos_changed.py"),
    ),
    Mutation(
        "the golden sample is not asked for",
        "include/evergreen/scoring/checked_model.py",
        "            (check or check_golden)(own.pipeline.spec, pipeline.registry, version, model)\n",
        "            pass\n",
        ("tests/unit/scoring/test_golden.py",),
    ),
    Mutation(
        "the signature is not looked at",
        "include/evergreen/registry/versions.py",
        "            self._signatures.check(version, digests, signature)\n",
        "",
        ("tests/unit/registry/test_signature.py",),
    ),
    Mutation(
        "a version is promoted without its signature",
        "include/evergreen/registry/versions.py",
        "        if self.must_be_signed:\n            self.check_signature(version)\n\n    def content",
        "\n    def content",
        ("tests/unit/registry/test_signature.py",),
    ),
    Mutation(
        "a model's bytes are not held to the manifest",
        "include/evergreen/registry/versions.py",
        "return manifest.check(name, self._storage.read(file_key(version, name)).body)",
        "return self._storage.read(file_key(version, name)).body",
        ("tests/unit/registry/test_registry.py",),
    ),
    Mutation(
        "an export is not held to the golden sample",
        "include/evergreen/export/export.py",
        "largest_difference=hold(found, said, to),",
        "largest_difference=0.0,",
        ("tests/unit/export/test_export.py",),
    ),
    Mutation(
        "a short way is taken whatever it says of the golden sample",
        "include/evergreen/serving/fast.py",
        "if difference := _difference(",
        "if difference := None and _difference(",
        ("tests/unit/serving/test_fast.py",),
    ),
    Mutation(
        "trees are added in another order",
        "include/evergreen/serving/joined.py",
        "np.add.accumulate(np.concatenate([start, values], axis=1), axis=1)[:, -1]",
        "np.concatenate([start, values], axis=1).sum(axis=1)",
        ("tests/unit/serving/test_fast.py",),
    ),
)
