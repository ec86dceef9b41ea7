from __future__ import annotations

import pytest

from evergreen.evaluation.verdict import Check, Outcome, Verdict, in_words

GOOD = Check("baseline", True, "mae 41 is better than the dummy baseline's 120")
BAD = Check("champion", False, "mae 43 is worse than champion old's 42")


def test_the_table_has_the_decision_first_and_then_what_failed():
    assert in_words(Verdict(Outcome.REFUSED, (GOOD, BAD))).splitlines() == [
        "**Refused: the champion stays.** 1 of 2 checks passed.",
        "",
        "| check | result | what was found |",
        "|---|---|---|",
        "| champion | **FAILED** | mae 43 is worse than champion old's 42 |",
        "| baseline | passed | mae 41 is better than the dummy baseline's 120 |",
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words_of_its_own(outcome):
    checks = (GOOD, BAD) if outcome in (Outcome.REFUSED, Outcome.INCONCLUSIVE) else (GOOD,)
    others = {in_words(Verdict(other, checks)) for other in Outcome if other is not outcome}
    assert in_words(Verdict(outcome, checks)) not in others
    assert ("| undecided |" in in_words(Verdict(outcome, checks))) is (outcome is Outcome.INCONCLUSIVE)


def test_text_from_the_data_cannot_break_the_table_or_place_a_link():
    check = Check("slice a|b=[x](http://y)", True, "first\nsecond <script> `code` *bold* \\|")
    row = in_words(Verdict(Outcome.ACCEPTED, (check,))).splitlines()[-1]
    assert row == (
        r"| slice a\|b=\[x\](http://y) | passed | first second \<script\> \`code\` \*bold\* \\\| |"
    )


@pytest.mark.parametrize(("promote", "outcome"), [(True, Outcome.ACCEPTED), (False, Outcome.REFUSED)])
def test_a_verdict_of_before_there_were_other_outcomes_is_still_read(promote, outcome):
    written = {
        "promote": promote,
        "sentence": "",
        "checks": [{"name": "a", "passed": promote, "detail": "b"}],
    }
    assert Verdict.from_dict(written) == Verdict(outcome, (Check("a", promote, "b"),))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_an_accepted_challenger_is_promoted_without_a_person(outcome):
    verdict = Verdict(outcome, (GOOD,))
    assert verdict.promote is (outcome is Outcome.ACCEPTED)
    assert verdict.needs_approval is (outcome in (Outcome.INCONCLUSIVE, Outcome.APPROVAL))
    assert not (verdict.promote and verdict.needs_approval)
