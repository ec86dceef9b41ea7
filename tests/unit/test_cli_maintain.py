from __future__ import annotations


def test_all_are_maintained_and_a_dry_run_changes_nothing(pipelines, evergreen, configured):
    assert evergreen("maintain").stdout == "nothing is stored that nothing needs\n"
    evergreen.document("ingest", "daily", "--partition", "2011-01-01", "--to", "2011-01-03")
    stored = configured.list("")
    told = evergreen.document("maintain", "--dry-run")
    assert told == {
        "dry_run": True,
        "pipelines": [
            {"pipeline": "daily", "checkpoints": ["partitions"], "deleted": []},
            {"pipeline": "kinds", "checkpoints": [], "deleted": []},
        ],
    }
    assert configured.list("") == stored
    assert evergreen.document("maintain", "daily")["pipelines"][0]["checkpoints"] == ["partitions"]
    assert [key for key in configured.list("") if ".checkpoint." in key]
    assert evergreen.document("maintain", "daily")["pipelines"][0]["checkpoints"] == []


def test_one_that_fails_does_not_keep_the_others_from_it(pipelines, evergreen, configured):
    file = pipelines / "daily" / "pipeline.yaml"
    file.write_text(file.read_text() + "maintenance: {keep: 3 days}\n")
    told = evergreen.document("maintain", exit_code=1)
    assert [one["pipeline"] for one in told["pipelines"]] == ["kinds"]
    assert "maintenance.keep: reports look back: write 31 days or more" in told["error"]
