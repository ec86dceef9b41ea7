"""The expectations that a row of a request must hold by itself, as a night judges them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.serving.proofs import proof
from evergreen.serving.row_types import Reasons
from evergreen.spec import Spec
from evergreen.validation.arguments import typed
from evergreen.validation.judge import Judges
from evergreen.validation.suite import Suite, load_suite
from evergreen.validation.validate import why_broken


class RowChecks:
    """The row-level expectations of a suite that would keep a row from being published.

    Those on a target are left out, for nobody knows it yet, and those with `mostly`, which a single row can
    neither hold nor break. What is only reported does not keep a row out. Raises as `load_suite` and
    `Judges.check` do.
    """

    def __init__(self, spec: Spec, schema: pa.Schema) -> None:
        suite = load_suite(spec)
        keys = len(spec.keys) + 1
        judged = [
            entry
            for entry in Judges(spec, suite).by_row
            if entry.severity != "info" and entry.mostly == 1 and not {*spec.targets} & {*entry.columns_named}
        ]
        self._judges = Judges(spec, Suite((*suite.entries[:keys], *judged)))
        self._judges.check(schema)
        self._proofs = [proof(typed(entry, schema, spec.calendar.zone), schema) for entry in judged]

    def broken(self, rows: pa.Table) -> Reasons:
        """Why rows would not be published, by their index among the rows (n, d)."""
        unproven = self._unproven(rows)
        if not len(unproven):
            return {}
        judged = rows.take(pa.array(unproven))
        return {int(unproven[at]): why for at, why in self._judged(judged).items()}

    def proven(self, rows: pa.Table) -> bool:
        """Whether all rows are known to hold all expectations without Great Expectations."""
        return all(prove is not None and pc.all(prove(rows)).as_py() for prove in self._proofs)

    def _unproven(self, rows: pa.Table) -> np.ndarray:
        """The indices of the rows that Great Expectations must judge."""
        proven = np.ones(len(rows), bool)
        for prove in self._proofs:
            if prove is None:
                return np.arange(len(rows))
            proven &= prove(rows).to_numpy(zero_copy_only=False)
        return np.flatnonzero(~proven)

    def _judged(self, rows: pa.Table) -> Reasons:
        reasons: Reasons = {}
        [outcomes] = self._judges.of_rows([rows])
        for entry in self._judges.by_row:
            outcome = outcomes[entry.number]
            if outcome.problem is not None:
                return dict.fromkeys(range(len(rows)), f"{entry.label}: {outcome.problem}")
            for at in outcome.rows.tolist():
                [row] = rows.slice(at, 1).to_pylist()
                reasons.setdefault(at, f"breaks {entry.label}: {why_broken(entry, row)}")
        return reasons
