"""Which gates judge a round: the operator's, else what the repository says at the base commit and may say."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field

from gates.errors import BadGateSpec
from gates.plan import GATE_FILE, CiOnly, GatePlan, NoGate, plan
from gates.text import clean
from runner.fleet import Fleet
from runner.model import RoundInput
from runner.ports import Checkouts


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Finds plans. service_images: patterns of the images that a repository may have run beside its gates.

    fleet: where the operator has gates for a repository, nothing that the repository says is asked for.
    """

    checkouts: Checkouts
    fleet: Fleet = field(default_factory=Fleet)
    service_images: tuple[str, ...] = ()

    def plan(self, round_input: RoundInput, base_sha: str) -> GatePlan | CiOnly | str:
        """The gates at the base commit, that there are to be none, or a sentence that says why there are none."""
        return self.plan_at(round_input.run_id, base_sha, round_input.base_branch, repo=round_input.repo)

    def plan_at(self, run_id: str, base_sha: str, called: str, *, repo: str | None) -> GatePlan | CiOnly | str:
        """The same, of a commit in the run's clone. called: how a person would name it. repo None: of no name."""
        rules = self.fleet.default if repo is None else self.fleet.of(repo)
        if rules.gates is not None:
            # The operator's own choice of images needs no leave.
            return rules.gates

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
