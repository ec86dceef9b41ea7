"""All actions, in the order in which they are offered."""

from __future__ import annotations

from evergreen.actions.action import Action
from evergreen.actions.mute import Mute, Unmute
from evergreen.actions.promote import Promote
from evergreen.actions.release import Release
from evergreen.actions.retrain import Retrain
from evergreen.actions.rollback import RollBack

ACTIONS: dict[str, Action] = {
    action.name: action for action in (Promote(), RollBack(), Retrain(), Release(), Mute(), Unmute())
}
"""The actions by name."""
