from __future__ import annotations

import pytest

from evergreen.evaluation.verdict import Check, Outcome, Verdict, in_words

GOOD = Check("baseline", True, "mae 41 is better than the dummy baseline's 120")
BAD = Check("champion", False, "mae 43 is worse than champion old's 42")


def test_the_table_has_the_decision_first_and_then_what_failed():
    assert in_words(Verdict(Outcome.WORSE, (GOOD, BAD))).splitlines() == [
        "**Worse: the champion stays.** 1 of 2 checks passed.",
        "",
        "| check | result | what was found |",
        "|---|---|---|",
        "| champion | **FAILED** | mae 43 is worse than champion old's 42 |",
        "| baseline | passed | mae 41 is better than the dummy baseline's 120 |",
    ]


def test_every_verdict_has_words_of_its_own():
    verdicts = [Verdict(outcome, (GOOD, BAD), asks) for outcome in Outcome for asks in (False, True)]
    assert len({in_words(verdict).splitlines()[0] for verdict in verdicts}) == 5  # nobody is asked of `worse`
    assert len({verdict.sentence for verdict in verdicts if not verdict.needs_approval}) == 3


def test_a_sentence_begins_with_the_gates_word():
    for outcome in Outcome:
        assert Verdict(outcome, (GOOD, BAD)).sentence.startswith(f"{outcome}: ")


def test_a_check_says_whether_it_failed_or_is_not_decided():
    checks = (GOOD, BAD, Check("champion", False, "too few rows", inconclusive=True))
    assert [check.word for check in checks] == ["passed", "failed", "inconclusive"]


def test_text_from_the_data_cannot_break_the_table_or_place_a_link():
    check = Check("slice a|b=[x](http://y)", True, "first\nsecond <script> `code` *bold* \\|")
    row = in_words(Verdict(Outcome.PROMOTED, (check,))).splitlines()[-1]
    assert row == (
        r"| slice a\|b=\[x\](http://y) | passed | first second \<script\> \`code\` \*bold\* \\\| |"
    )


@pytest.mark.parametrize(("promote", "outcome"), [(True, Outcome.PROMOTED), (False, Outcome.WORSE)])
def test_a_verdict_of_before_there_were_other_outcomes_is_still_read(promote, outcome):
    written = {
        "promote": promote,
        "sentence": "",
        "checks": [{"name": "a", "passed": promote, "detail": "b"}],
    }
    assert Verdict.from_dict(written) == Verdict(outcome, (Check("a", promote, "b"),))


@pytest.mark.parametrize(
    ("written", "outcome", "asked"),
    [
        ("accepted", Outcome.PROMOTED, False),
        ("approval", Outcome.PROMOTED, True),
        ("inconclusive", Outcome.INCONCLUSIVE, True),
        ("refused", Outcome.WORSE, False),
    ],
)
def test_what_an_earlier_release_wrote_is_still_read(written, outcome, asked):
    content = {"outcome": written, "promote": written == "accepted", "sentence": "", "checks": []}
    assert Verdict.from_dict(content) == Verdict(outcome, (), asked)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("asked", [False, True])
def test_a_verdict_is_the_same_once_written_and_promotes_only_what_nobody_is_asked_of(outcome, asked):
    verdict = Verdict(outcome, (GOOD, Check("champion", False, "few", inconclusive=True)), asked)
    assert Verdict.from_dict(verdict.to_dict()) == verdict
    assert verdict.promote is (outcome is Outcome.PROMOTED and not asked)
