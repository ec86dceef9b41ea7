from __future__ import annotations

import itertools
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evergreen.data_docs.index import (
    KEPT,
    Run,
    Verdict,
    merged,
    newest,
    read_index,
    render_home,
    render_index,
    render_notice,
    write_lines,
)
from evergreen.data_docs.page import render_page
from evergreen.data_docs.sentence import sentence
from evergreen.data_docs.store import index_key, page_key, write_data_docs
from evergreen.errors import ConflictError, NotFoundError
from evergreen.pipeline import Pipeline
from evergreen.spec import load_spec
from evergreen.validation.report import ExpectationResult, ValidationReport

NIGHT = datetime(2011, 6, 2, 2, 0, tzinfo=UTC)
RUN = "0123456789abcdef"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></script><!--"
BETWEEN = "expect_column_values_to_be_between"
LIMITS = {"column": "cnt", "min_value": 0, "max_value": 5000.0}


def result(success=True, unexpected=0, detail="holds", severity="warning", name=BETWEEN, arguments=None):
    arguments = LIMITS if arguments is None else arguments
    return ExpectationResult(f"{name}(cnt)", severity, success, unexpected, detail, name, arguments)


def report(partition="2011-06-01", **changes):
    values = {"rows": 24, "quarantined": 0, "results": (result(),), **changes}
    return ValidationReport(partition, **values)


QUARANTINED = report(
    quarantined=6,
    results=(result(), result(False, 6, "6 of 24 rows, such as -4.0, -3.0")),
)
REFUSED = report(refused="expect_x(cnt): 9 of 24 rows: fix the source, then ingest again")
NOTED = report(results=(result(), result(False, 1, "1 of 24 rows, such as 3.0", "info")))


class Page(HTMLParser):
    """Collects a page's words, links and ids, and checks that what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.ids += [value for name, value in attrs if name == "id"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in ("meta", "br", "input", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)


@pytest.fixture
def pipeline(storage) -> Pipeline:
    return Pipeline(load_spec("bike_demand"), storage)


def page(validated, name="bike_demand") -> Page:
    return Page(render_page(load_spec(name), validated, RUN, NIGHT))


def listed(pipeline) -> list[Run]:
    return read_index(pipeline.storage.read(index_key(pipeline.name)).body)


class TestPage:
    def test_it_says_what_was_asked_and_what_was_found(self):
        text = page(QUARANTINED).text
        for said in (
            "bike_demand 2011-06-01",
            "6 of 24 rows go to quarantine; the others may be published.",
            "24 rows came in 18 may be published 6 in quarantine (25.00%) 1 of 2 expectations held",
            "cnt values must be greater than or equal to 0 and less than or equal to 5000 .",
            "failed warning",
            "held warning",
            "6 of 24 rows, such as -4.0, -3.0 6 25.00%",
            "evergreen quarantine show bike_demand --partition 2011-06-01",
            f"run {RUN} , begun 2011-06-02 02:00 UTC",
        ):
            assert said in text

    def test_a_refusal_is_told_with_its_reason_and_publishes_nothing(self):
        text = page(REFUSED).text
        assert "refused expect_x(cnt): 9 of 24 rows: fix the source, then ingest again" in text
        assert "0 may be published" in text
        assert "quarantine show" not in text

    def test_a_refusal_before_any_row_was_judged(self):
        text = page(ValidationReport("2011-06-01", 0, 0, (), refused="no rows: ask again")).text
        assert "refused no rows: ask again" in text
        assert "None was judged" in text

    def test_what_failed_comes_first_the_gravest_before_all(self):
        text = page(
            report(
                results=(
                    result(detail="first"),
                    result(detail="not enough history: 3 of 7", severity="critical"),
                    result(False, detail="third", severity="info"),
                    result(False, detail="fourth", severity="critical"),
                )
            )
        ).text
        places = [text.index(word) for word in ("fourth", "third", "not enough history: 3 of 7", "first")]
        assert places == sorted(places)
        assert "1 of 4 expectations held; 1 not applied" in text

    def test_changes_of_the_schema_are_told(self):
        assert "column 'gust' added" in page(report(schema_changes=("column 'gust' added",))).text

    def test_it_leads_to_the_index_and_to_the_partitions_beside_it(self):
        assert page(report()).links == [
            "../index.html#2011-06-01",
            "../index.html?partition=2011-05-31#2011-05-31",
            "../index.html?partition=2011-06-02#2011-06-02",
        ]

    def test_a_snapshot_has_no_partition_beside_it(self):
        assert page(report("snapshot"), "iris").links == ["../index.html#snapshot"]

    def test_nothing_in_the_data_becomes_markup(self):
        hostile = result(False, 2, HOSTILE, arguments={"column": HOSTILE, "min_value": 0})
        unknown = result(False, 0, HOSTILE, name=f"expect_{HOSTILE}", arguments={"x": HOSTILE})
        shown = page(
            report(
                quarantined=1,
                results=(hostile, unknown),
                schema_changes=(HOSTILE,),
                refused=HOSTILE,
            )
        )
        assert not shown.tags & {"script", "img"}
        assert shown.handlers == []
        assert shown.text.count("<script>alert(1)</script>") >= 5

    @given(st.text(), st.text(), st.integers(0, 10**9), st.integers(0, 10**9))
    @example("half a tag <b and a \0 & &amp; &#60;", "\r\n$x", 0, 1)
    def test_whatever_was_found_is_shown_as_it_is(self, detail, column, rows, unexpected):
        told = result(False, unexpected, detail, arguments={"column": column, "min_value": -1})
        shown = page(report(rows=rows, results=(told,)))
        assert shown.tags.isdisjoint({"script", "img", "iframe"})
        assert " ".join(detail.split()) in shown.text

    def test_it_needs_no_network(self):
        html = render_page(load_spec("bike_demand"), QUARANTINED, RUN, NIGHT)
        assert not re.search(r"https?://|@import|url\(|<script|<link|\bsrc=", html)


class TestSentence:
    @pytest.mark.parametrize(
        ("name", "arguments", "words"),
        [
            ("expect_column_values_to_not_be_null", {"column": "x"}, "x values must never be null."),
            (
                "expect_column_values_to_be_in_set",
                {"column": "x", "value_set": ["a", "b"], "mostly": 0.9},
                "x values must belong to this set: a b, at least 90 % of the time.",
            ),
            (
                "expect_column_value_z_scores_to_be_less_than",
                {"column": "x", "threshold": 4.5, "double_sided": True},
                "x value z-scores must be greater than -4.5 and less than 4.5.",
            ),
            (
                "expect_table_row_count_to_be_between",
                {"max_value": {"last": "9 partitions", "of": "row_count", "times": 2}},
                "Must have less than or equal to 2 x the median row_count of the last 9 partitions rows.",
            ),
            ("expect_no_such_thing", {"column": "x"}, "expect no such thing"),
        ],
    )
    def test_great_expectations_words(self, name, arguments, words):
        assert str(sentence(name, arguments)) == words

    def test_every_expectation_of_the_pipelines_has_words(self):
        from evergreen.validation.suite import load_suite

        entries = [
            entry
            for name in ("bike_demand", "iris", "wine_segments")
            for entry in load_suite(load_spec(name)).entries
        ]
        said = {str(sentence(entry.name, entry.arguments)) for entry in entries}
        assert len(entries) > 30
        assert not [words for words in said if words.startswith("expect ") or "$col" in words or "{" in words]

    def test_arguments_without_words_stand_beside(self):
        quantiles = {"quantiles": [0.5], "value_ranges": [[90, 110]]}
        said = result(
            name="expect_column_quantile_values_to_be_between",
            arguments={"column": "x", "quantile_ranges": quantiles},
        )
        assert (
            "quantile_ranges: {'quantiles': [0.5], 'value_ranges': [[90, 110]]}"
            in page(report(results=(said,))).text
        )

    def test_a_set_of_thousands_is_cut(self):
        words = sentence("expect_column_values_to_be_in_set", {"column": "x", "value_set": list(range(5000))})
        assert len(str(words)) < 500
        assert str(words).endswith("…")


class TestIndex:
    def test_it_reads_what_it_wrote(self):
        runs = merged([], [Run.of(each, RUN, NIGHT) for each in (report("2011-05-31"), QUARANTINED)])
        assert read_index(render_index(load_spec("bike_demand"), runs).encode()) == runs

    @given(st.text(), st.integers(0), st.integers(0))
    def test_it_reads_what_it_wrote_whatever_the_data(self, note, rows, failed):
        runs = [Run("2011-06-01", RUN, "2011-06-02T02:00:00Z", Verdict.REFUSED, rows, 0, failed, 9, note)]
        html = render_index(load_spec("bike_demand"), runs)
        assert read_index(html.encode("utf-8", "replace")) == [Run(**{**runs[0].__dict__, "note": note})]
        assert html.count("<script") == 1

    @pytest.mark.parametrize(
        ("validated", "verdict"),
        [
            (report(), "passed"),
            (NOTED, "noted"),
            (QUARANTINED, "quarantined"),
            (REFUSED, "refused"),
        ],
    )
    def test_verdicts(self, validated, verdict):
        run = Run.of(validated, RUN, NIGHT)
        shown = Page(render_index(load_spec("bike_demand"), [run]))
        assert run.verdict == verdict
        assert f"2011-06-01 {verdict} 24" in shown.text
        assert f"2011-06-01/{RUN}.html" in shown.links

    def test_runs_are_under_their_month_newest_first_and_a_later_run_counts(self):
        days = ("2011-05-30", "2011-05-31", "2011-06-01")
        runs = [Run(day, RUN, "2011-06-02T02:00:00Z", Verdict.PASSED, 24) for day in days]
        again = Run("2011-05-31", "aa", "2011-06-09T02:00:00Z", Verdict.REFUSED, 9)
        order = merged(runs, [again])
        assert [(run.partition, run.run) for run in order] == [
            ("2011-06-01", RUN),
            ("2011-05-31", "aa"),
            ("2011-05-31", RUN),
            ("2011-05-30", RUN),
        ]
        assert newest(order)["2011-05-31"] == again
        shown = Page(render_index(load_spec("bike_demand"), order))
        assert "3 partitions validated, in 4 runs 1 refused" in shown.text
        assert shown.text.count("earlier run") == 1
        assert [each for each in shown.ids if each.startswith(("in-", "2011"))] == [
            "in-2011-06",
            "2011-06-01",
            "in-2011-05",
            "2011-05-31",
            "2011-05-30",
        ]

    def test_a_monthly_pipeline_is_listed_by_year_and_a_snapshot_by_the_month_of_its_runs(self):
        assert Run("2011-06", RUN).period == "2011"
        assert Run("2011-06-01T05", RUN).period == "2011-06"
        assert Run("snapshot", RUN, "2013-02-03T00:00:00Z").period == "2013-02"
        assert Run("snapshot", RUN).period == "-"

    def test_every_run_of_a_snapshot_is_current(self):
        runs = [Run("snapshot", f"{n}", f"2013-02-0{n}T00:00:00Z", Verdict.PASSED, 9) for n in (3, 2, 1)]
        shown = Page(render_index(load_spec("iris"), runs))
        assert "earlier run" not in shown.text
        assert len([link for link in shown.links if link == "snapshot/1.html"]) == 2

    def test_no_more_than_the_newest_are_kept(self):
        runs = [Run(f"{number:05}", RUN) for number in range(KEPT + 2)]
        kept = merged(runs[:-1], runs[-1:])
        assert len(kept) == KEPT
        assert (kept[0].partition, kept[-1].partition) == (f"{KEPT + 1:05}", "00002")

    @pytest.mark.parametrize(
        "body", [b"", b"<html></html>", b'<script type="application/json" id="runs">[[1]]</script>']
    )
    def test_something_else_is_no_index(self, body):
        with pytest.raises(ValueError):  # noqa: PT011
            read_index(body)

    def test_it_needs_no_network(self):
        html = render_index(load_spec("bike_demand"), [Run.of(REFUSED, RUN, NIGHT)])
        assert not re.search(r"https?://|@import|url\(|<link|\bsrc=", html)


class TestWriting:
    def test_a_page_where_it_was_promised_and_a_line_in_the_index(self, pipeline):
        assert write_data_docs(pipeline, RUN, NIGHT, [QUARANTINED]) == [
            page_key("bike_demand", "2011-06-01", RUN)
        ]
        assert pipeline.storage.list("") == [
            f"bike_demand/data_docs/2011-06-01/{RUN}.html",
            "bike_demand/data_docs/index.html",
        ]
        assert [(run.partition, run.run, run.verdict) for run in listed(pipeline)] == [
            ("2011-06-01", RUN, Verdict.QUARANTINED)
        ]

    def test_a_retry_writes_the_same_again(self, pipeline):
        write_data_docs(pipeline, RUN, NIGHT, [QUARANTINED])
        before = {key: pipeline.storage.read(key) for key in pipeline.storage.list("")}
        write_data_docs(pipeline, RUN, NIGHT, [QUARANTINED])
        assert {key: pipeline.storage.read(key) for key in pipeline.storage.list("")} == before

    def test_a_retry_that_ends_otherwise_takes_the_place_of_the_first(self, pipeline):
        write_data_docs(pipeline, RUN, NIGHT, [REFUSED])
        write_data_docs(pipeline, RUN, NIGHT, [report()])
        assert [run.verdict for run in listed(pipeline)] == [Verdict.PASSED]

    def test_text_that_is_none_is_written_all_the_same(self, pipeline):
        write_data_docs(pipeline, RUN, NIGHT, [report(refused="half a sign: \ud83d: fix the source")])
        body = pipeline.storage.read(page_key("bike_demand", "2011-06-01", RUN)).body
        assert b"half a sign: &#55357;: fix the source" in body
        assert listed(pipeline)[0].note == "half a sign: \ud83d: fix the source"

    def test_no_partition_writes_nothing(self, pipeline):
        assert write_data_docs(pipeline, RUN, NIGHT, []) == []
        assert pipeline.storage.list("") == []

    def test_runs_that_end_at_once_are_all_listed(self, pipeline):
        days = [pipeline.spec.calendar.shift("2011-06-01", number) for number in range(24)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda day: write_data_docs(pipeline, RUN, NIGHT, [report(day)]), days))
        assert sorted(run.partition for run in listed(pipeline)) == days

    def test_lines_of_a_run_that_was_killed_are_taken_along_and_scribbles_are_not(self, pipeline):
        left = Run.of(REFUSED, "killed", NIGHT)
        pipeline.storage.stage("bike_demand/data_docs/.lines/killed.json", write_lines([left]))
        pipeline.storage.stage("bike_demand/data_docs/.lines/scribbles.json", b"{not json")
        write_data_docs(pipeline, RUN, NIGHT, [report("2011-06-02")])
        assert left in listed(pipeline)
        assert len(listed(pipeline)) == 2
        assert not pipeline.storage.list("bike_demand/data_docs/.lines/")

    def test_whose_lines_were_taken_along_by_another_does_not_write(self, pipeline, monkeypatch):
        written = []

        def faster(spec, runs):
            written.append(runs)
            if len(written) == 1:  # another run ends just now, and takes our lines along
                write_data_docs(pipeline, "faster", NIGHT, [report("2011-06-02")])
            return render_index(spec, runs)

        monkeypatch.setattr("evergreen.data_docs.store.render_index", faster)
        write_data_docs(pipeline, RUN, NIGHT, [report("2011-06-01")])
        assert [run.run for run in listed(pipeline)] == ["faster", RUN]
        assert len(written) == 2
        assert not pipeline.storage.list("bike_demand/data_docs/.lines/")

    def test_every_link_of_the_index_has_a_page(self, pipeline):
        days = [pipeline.spec.calendar.shift("2011-06-01", number) for number in range(40)]
        write_data_docs(pipeline, RUN, NIGHT, [report(day) for day in days])
        shown = Page(pipeline.storage.read(index_key("bike_demand")).body.decode())
        pages = {urlsplit(unquote(link)).path for link in shown.links if link.endswith(".html")}
        assert {f"bike_demand/data_docs/{page}" for page in pages} == set(
            pipeline.storage.list("bike_demand/data_docs/2")
        )
        assert len(pages) == 40

    @pytest.mark.parametrize("spoilt", [None, b"", b"somebody's notes"])
    def test_an_index_that_was_lost_or_spoilt_is_made_from_the_pages(self, pipeline, spoilt):
        write_data_docs(pipeline, RUN, NIGHT, [report("2011-06-01"), report("2011-06-02")])
        pipeline.storage.delete_all(index_key("bike_demand"))
        if spoilt is not None:
            pipeline.storage.stage(index_key("bike_demand"), spoilt)
        write_data_docs(pipeline, "bb", NIGHT + timedelta(days=1), [report("2011-06-03")])
        assert [(run.partition, run.verdict) for run in listed(pipeline)] == [
            ("2011-06-03", "passed"),
            ("2011-06-02", "unknown"),
            ("2011-06-01", "unknown"),
        ]
        shown = Page(pipeline.storage.read(index_key("bike_demand")).body.decode())
        assert f"2011-06-01/{RUN}.html" in shown.links

    def test_an_index_that_is_always_overtaken_is_an_error_in_words(self, pipeline, monkeypatch):
        write_data_docs(pipeline, RUN, NIGHT, [report()])
        others = itertools.count()

        def overtaken(spec, runs):
            others_page = render_index(spec, [Run("2011-06-09", f"{next(others)}")])
            pipeline.storage.stage(index_key("bike_demand"), others_page.encode())
            return render_index(spec, runs)

        with monkeypatch.context() as patch:
            patch.setattr("evergreen.data_docs.store._ATTEMPTS", 2)
            patch.setattr("evergreen.data_docs.store.render_index", overtaken)
            with pytest.raises(ConflictError, match=r"^bike_demand 2011-06-02: .*: run the stage again$"):
                write_data_docs(pipeline, RUN, NIGHT, [report("2011-06-02")])
        assert next(others) == 2
        write_data_docs(pipeline, "next", NIGHT, [report("2011-06-03")])
        assert ("2011-06-02", RUN) in {(run.partition, run.run) for run in listed(pipeline)}
        assert not pipeline.storage.list("bike_demand/data_docs/.lines/")

    def test_a_copy_of_the_folder_can_be_walked_without_a_server(self, pipeline, tmp_path):
        write_data_docs(pipeline, RUN, NIGHT, [report("2011-06-01"), report("2011-06-02")])
        for key in pipeline.storage.list("bike_demand/data_docs/"):
            file = tmp_path / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pipeline.storage.read(key).body)
        walked = 0
        for file in tmp_path.rglob("*.html"):
            for link in Page(file.read_text()).links:
                target = urlsplit(link)
                if target.path not in ("", "../"):  # the page above all pipelines is Airflow's
                    assert (file.parent / target.path).resolve().is_file(), (file, link)
                    walked += 1
        assert walked == 2 * 2 + 2 * 3
        shutil.rmtree(tmp_path)


class TestSmallPages:
    def test_the_page_above_leads_to_the_pipelines(self):
        shown = Page(render_home({"bike_demand": HOSTILE, "a b": "-"}))
        assert shown.links == [
            *("bike_demand/index.html", "bike_demand/reports/"),
            *("a%20b/index.html", "a%20b/reports/"),
        ]
        assert "script" not in shown.tags

    def test_a_notice_says_why_and_leads_back(self):
        shown = Page(render_notice("No page", HOSTILE, "/x/"))
        assert shown.links == ["/x/"]
        assert "img" not in shown.tags


def test_the_index_of_a_pipeline_without_runs_is_not_there(pipeline):
    with pytest.raises(NotFoundError):
        pipeline.storage.read(index_key("bike_demand"))
