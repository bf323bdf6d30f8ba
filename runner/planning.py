"""Which gates judge a round: what the repository says at the base commit, as far as the operator allows it."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from gates.errors import BadGateSpec
from gates.plan import GATE_FILE, CiOnly, GatePlan, NoGate, plan
from gates.text import clean
from runner.model import RoundInput
from runner.ports import Checkouts


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Finds plans. service_images: patterns of the images that a repository may have run beside its gates."""

    checkouts: Checkouts
    service_images: tuple[str, ...] = ()

    def plan(self, round_input: RoundInput, base_sha: str) -> GatePlan | CiOnly | str:
        """The gates at the base commit, that there are to be none, or a sentence that says why there are none."""
        return self.plan_at(round_input.run_id, base_sha, round_input.base_branch)

    def plan_at(self, run_id: str, base_sha: str, called: str) -> GatePlan | CiOnly | str:
        """The same, of a commit in the run's clone. called: how a person would name it."""

        def read(path: str) -> bytes | None:
            return self.checkouts.read(run_id, base_sha, path)

        try:
            found = plan(read(GATE_FILE), self.checkouts.paths(run_id, base_sha), read)
        except BadGateSpec as exc:
            return f"{GATE_FILE} on {called}: {exc}"
        match found:
            case NoGate(reason=reason):
                return reason
            case GatePlan(services=services):
                barred = next((one.image for one in services if not self._may_serve(one.image)), None)
                return found if barred is None else _barred(barred)
            case CiOnly():
                return found

    def _may_serve(self, image: str) -> bool:
        return any(fnmatch.fnmatchcase(image, pattern) for pattern in self.service_images)


def _barred(image: str) -> str:
    return (
        f"{GATE_FILE} asks for a service of image {clean(image, 200)}; "
        "the operator allows such images in ASHIGARU_SERVICE_IMAGES."
    )
