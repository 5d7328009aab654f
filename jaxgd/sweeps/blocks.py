"""What runs give."""

from typing import Any, NamedTuple


class LaneResults(NamedTuple):
    """What a run gives; in a program's slots, with a leading axis over them.

    kept_epoch: the epoch (from 1) that `params` and `model_state` are of, -1 if it is the last; None where no
    rule chooses one.
    """

    params: Any
    model_state: Any
    history: dict[str, Any]
    status: Any
    stopped_at: Any
    kept_epoch: Any
