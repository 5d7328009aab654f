"""Measure how often the verdicts of a comparison are wrong, and how much they miss of what could be known.

    python benchmarks/conclusions.py [--draws 2000] [--world TEXT] [--only errors power ...]

Cells, seeds and test rows are drawn crossed, from worlds whose true scores and variances are known in closed
form.
Prints Markdown tables, whose rows have random numbers of their own. Every world is looked at once, with the
whole error, at 5, 10, 20 or 40 seeds, and in rounds. For recommendations only cells that are undecided and
matter get more seeds, else all do. An oracle is the same procedure with the true variances in place of those
estimated. Shares above what their limit explains are set in bold type.
"""

import argparse
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom, multivariate_normal

from jaxgd.studies.verdicts import best, concluding, crossed, margins, recommending, spending

CHUNK = 6_000_000  # scores drawn at once
ROUNDS = spending.ROUNDS
FAR = 0.1  # how far below the others cells lie that only stand beside
ROUNDING = 1e-12
SURE = 0.99  # a share is above its limit where so many draws of the limit would lie below it


@dataclass(frozen=True)
class World:
    """Cells, seeds and rows with known truth: hits where a normal variable is above 0, or losses.

    better: [cells], by how much each cell is better than the first one, in units of the score. seed: the
    standard deviation that a seed gives a cell, by cell. shared: the part of its variance, from 0 to 1, that
    all cells of a seed share.
    """

    better: np.ndarray
    hits: bool = True
    first: float = 0.95
    rows: int = 360
    seed: Any = 0.06
    shared: float = 0.0
    row: float = 1.5
    cell_by_row: float = 0.4
    chance: float = 0.6
    valid_rows: int = 0

    @property
    def true(self) -> np.ndarray:
        """The cells' true scores."""
        return self.first + (self.better if self.hits else -self.better)

    @property
    def margin(self) -> float:
        """The margin of practical equality, known beforehand."""
        return margins.accuracy_margin(self.rows) if self.hits else margins.loss_margin(self.first)

    def covariances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of what is normal, between cells at one seed, on one row, and both; each [cells, cells]."""
        cells = len(self.better)
        sd = np.broadcast_to(np.asarray(self.seed, float), (cells,))
        seeds = self.shared * np.outer(sd, sd) + (1 - self.shared) * np.diag(sd**2)
        rows = self.row**2 + self.cell_by_row**2 * np.eye(cells)
        return seeds, rows, seeds + rows + self.chance**2 * np.eye(cells)

    def centre(self) -> np.ndarray:
        """The mean of what is normal, for the true scores."""
        variance = np.diag(self.covariances()[2])
        return ndtri(self.true) * np.sqrt(variance) if self.hits else np.log(self.true) - variance / 2

    def draw(self, rng, draws: int, seeds: int) -> np.ndarray:
        """Scores [draws, cells, seeds, rows], those of validation rows behind those of test rows."""
        cells, rows = len(self.better), self.rows + self.valid_rows
        sd = np.broadcast_to(np.asarray(self.seed, float), (cells,))[:, None]

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal((draws, *shape), np.float32)

        both = np.sqrt(self.shared) * normal(1, seeds) + np.sqrt(1 - self.shared) * normal(cells, seeds)
        by_row = self.row * normal(1, rows) + self.cell_by_row * normal(cells, rows)
        latent = np.float32(self.chance) * normal(cells, seeds, rows)
        latent += (sd * both)[..., None].astype(np.float32) + by_row[..., None, :].astype(np.float32)
        latent += self.centre()[:, None, None].astype(np.float32)
        return latent > 0 if self.hits else np.exp(latent)

    def moments(self, seeds: int) -> crossed.Crossed:
        """The true covariances of the scores."""
        by_seed, by_row, both = (self._covariance_of_scores(part) for part in self.covariances())
        return crossed.Crossed(self.true, by_seed, by_row, both - by_seed - by_row, None, seeds, self.rows)

    def _covariance_of_scores(self, covariance: np.ndarray) -> np.ndarray:
        if not self.hits:
            return np.outer(self.true, self.true) * np.expm1(covariance)
        own = np.diag(self.covariances()[2])
        places = self.centre() / np.sqrt(own)
        correlation = covariance / np.sqrt(np.outer(own, own))
        known: dict[tuple[float, float, float], float] = {}
        found = np.empty_like(correlation)
        for i, j in np.ndindex(*found.shape):
            key = (*sorted((float(places[i]), float(places[j]))), round(float(correlation[i, j]), 12))
            if key not in known:
                known[key] = _both_below(*key)
            found[i, j] = known[key] - self.true[i] * self.true[j]
        return found


def _both_below(one: float, other: float, correlation: float) -> float:
    """The probability that both of two standard normal variables lie below their places."""
    if correlation > 1 - 1e-9:
        return float(multivariate_normal.cdf(one))
    return float(multivariate_normal.cdf([one, other], cov=[[1, correlation], [correlation, 1]]))


def true_differences(world: World, seeds: int, seen: crossed.Differences) -> crossed.Differences:
    """Mean differences as seen, with their true variances, which need no degrees of freedom."""
    moments = world.moments(seeds)
    parts = [np.add.outer(np.diag(part), np.diag(part)) - 2 * part for part in moments[1:4]]
    variance = parts[0] / seeds + parts[1] / world.rows + parts[2] / (seeds * world.rows)
    shape = seen.mean.shape
    return crossed.Differences(
        seen.mean, np.broadcast_to(variance, shape), np.full(shape, 1e9), None, world.rows
    )


class Look(NamedTuple):
    """What one look says of every draw: codes and whether all intervals hold, [draws, cells] and [draws]."""

    codes: np.ndarray
    held: np.ndarray


class Study(NamedTuple):
    """Looks at one world by (procedure or oracle, seeds): once at so many seeds, and in rounds up to them.

    order: [draws, cells], by validation scores after the last round. seconds: [draws, cells].
    """

    once: dict[tuple[str, int], Look]
    rounds: dict[tuple[str, int], Look]
    order: np.ndarray
    seconds: np.ndarray


def study(world: World, rng, draws: int, who=("procedure", "oracle"), leave_out: bool = False) -> Study:
    """All looks at a world; seconds of a run are drawn evenly on a logarithmic scale, from 0.02 to 1.

    leave_out: whether further rounds are only for cells that are undecided and matter.
    """
    cells = len(world.better)
    size = max(1, CHUNK // (cells * ROUNDS[-1] * (world.rows + world.valid_rows)))
    parts = []
    for start in range(0, draws, size):
        number = min(size, draws - start)
        seconds = np.exp(rng.uniform(np.log(0.02), np.log(1.0), (number, cells)))
        parts.append(_study_chunk(world, world.draw(rng, number, ROUNDS[-1]), seconds, who, leave_out))
    return Study(
        _joined([part.once for part in parts]),
        _joined([part.rounds for part in parts]),
        np.concatenate([part.order for part in parts]),
        np.concatenate([part.seconds for part in parts]),
    )


def _joined(looks: list[dict[tuple[str, int], Look]]) -> dict[tuple[str, int], Look]:
    return {
        key: Look(*map(np.concatenate, zip(*[part[key] for part in looks], strict=True))) for key in looks[0]
    }


def _study_chunk(world: World, scores: np.ndarray, seconds: np.ndarray, who, leave_out: bool) -> Study:
    test, valid = scores[..., : world.rows], scores[..., world.rows :]
    order = _order(world, valid if world.valid_rows else test)
    once, rounds = {}, {}
    seen = {seeds: _differences(world, test[:, :, :seeds]) for seeds in ROUNDS}
    for name in who:
        known = seen if name == "procedure" else {n: true_differences(world, n, d) for n, d in seen.items()}
        for seeds in ROUNDS:
            margin = margins_of(world, test[:, :, :seeds])
            ends = best.ends_of(known[seeds], concluding.ERROR, margin[..., None])
            once[name, seeds] = _read(world, best.intervals_of(ends), margin)
        for seeds, look in in_rounds(world, known, test, seconds, order, leave_out):
            rounds[name, seeds] = look
    return Study(once, rounds, order, seconds)


def _differences(world: World, scores: np.ndarray) -> crossed.Differences:
    return crossed.differences_of(crossed.crossed_moments(scores, world.hits), world.hits)


def _order(world: World, scores: np.ndarray) -> np.ndarray:
    means = scores[:, :, : ROUNDS[0]].mean((-2, -1))
    return np.argsort(-means if world.hits else means, axis=-1, kind="stable")


def margins_of(world: World, scores: np.ndarray) -> np.ndarray:
    """What the procedure takes for the margin, [draws, 1]: of losses it is read off the data."""
    if world.hits:
        return np.full((len(scores), 1), world.margin)
    return margins.OF_LOSS * scores.mean((-2, -1), dtype=np.float64).min(-1, keepdims=True)


def _read(world: World, intervals: best.Intervals, margin: np.ndarray) -> Look:
    truth = best.against_best(world.better)
    held = (intervals.low <= truth + ROUNDING) & (intervals.high >= truth - ROUNDING)
    return Look(concluding.verdict_codes(intervals, margin), held.all(-1))


def in_rounds(
    world: World,
    known: dict[int, crossed.Differences],
    scores: np.ndarray,
    seconds: np.ndarray,
    order: np.ndarray,
    leave_out: bool,
) -> Iterator[tuple[int, Look]]:
    """What is said after each round, with further seeds for all cells or only for those worth them."""
    active, ends, intervals = np.ones(scores.shape[:2], bool), None, None
    for seeds, share in zip(ROUNDS, spending.shares_of_error(ROUNDS, ROUNDS[-1]), strict=True):
        margin = margins_of(world, scores[:, :, :seeds])
        look = best.ends_of(known[seeds], concluding.ERROR * share, margin[..., None])
        ends = look if ends is None else _of_active(look, ends, active)
        found = best.intervals_of(ends)
        intervals = found if intervals is None else best.tightest(intervals, found)
        read = _read(world, intervals, margin)
        yield seeds, read
        if leave_out:
            active = _worth_more(read.codes, ends, margin, order, seconds)


def _of_active(look: best.Ends, before: best.Ends, active: np.ndarray) -> best.Ends:
    """The ends of pairs of active cells as of this look; of the others as they were before."""
    pair = active[:, :, None] & active[:, None, :]
    return best.Ends(*(np.where(pair, now, then) for now, then in zip(look, before, strict=True)))


def _worth_more(codes, ends: best.Ends, margin, order, seconds) -> np.ndarray:
    active = np.zeros(codes.shape, bool)
    for draw, row in enumerate(active):
        own = best.Ends(*(part[draw] for part in ends))
        conclusion = _conclusion(codes[draw], own, float(margin[draw, 0]))
        row[recommending.worth_more_seeds(conclusion, order[draw].tolist(), seconds[draw], seconds[draw])] = (
            True
        )
    return active


def _conclusion(
    codes: np.ndarray, ends: best.Ends | None = None, margin: float = 0.0
) -> concluding.Conclusion:
    """A conclusion with what a recommendation reads alone."""
    blank: Any = None
    return concluding.Conclusion(*[blank] * 7, margin, codes, ends or blank)


LIMITS = {"better": 0.025, "as good": 0.05, "worse": 0.025}


def false_shares(world: World, codes: np.ndarray) -> dict[str, float]:
    """The shares of draws with any false statement of a kind; a gap of exactly one margin makes it false."""
    truth, edge = best.against_best(world.better), world.margin
    good = (codes == concluding.AS_GOOD) | (codes == concluding.BETTER)
    wrong = {
        "better": (codes == concluding.BETTER) & (truth <= edge + ROUNDING),
        "as good": good & (truth <= -edge + ROUNDING),
        "worse": (codes == concluding.WORSE) & (truth >= -edge - ROUNDING),
    }
    return {kind: float(cases.any(-1).mean()) for kind, cases in wrong.items()}


def highest(limit: float, draws: int) -> float:
    """The largest share of so many draws that the limit still explains."""
    return float(binom.ppf(SURE, draws, limit)) / draws


def with_cells(world: World, better) -> World:
    """The world with these cells; where the spread over seeds differs by cell, it is dealt out in turn."""
    better = np.asarray(better, float)
    return replace(world, better=better, seed=np.resize(np.atleast_1d(world.seed), len(better)))


def boundaries(world: World, twelve: bool) -> dict[str, World]:
    """The world with cells at the boundary of a false verdict, by the name of what is there."""
    m, far = world.margin, FAR * world.first
    two = {"2 cells, 1 margin apart": [0.0, -m]}
    many = {
        "12 cells, one 1 margin ahead of one, others far": [0.0, -m, *[-far] * 10],
        "12 cells, one 1 margin ahead of all": [0.0, *[-m] * 11],
        "12 cells, one 1 margin behind eleven equal": [-m, *[0.0] * 11],
    }
    return {name: with_cells(world, better) for name, better in (many if twelve else two).items()}


WORLDS = {
    "hits, 95 %, 360 rows": World(np.zeros(2)),
    "hits, 95 %, 360 rows, unequal seeds": World(np.zeros(2), seed=(0.2, 0.05, 0.1), shared=0.3),
    "hits, 99 %, 100 rows": World(np.zeros(2), first=0.99, rows=100),
    "hits, 90 %, 30 rows, seeds alike": World(np.zeros(2), first=0.9, rows=30, seed=0.01, chance=0.05),
    "hits, 99.5 %, 360 rows, seeds alike": World(np.zeros(2), first=0.995, seed=0.01, chance=0.05),
    "losses, 100 rows": World(np.zeros(2), False, 0.3, 100, 0.02, 0.3, 0.8, 0.1, 0.1),
    "losses, 100 rows, unequal seeds": World(np.zeros(2), False, 0.3, 100, (0.1, 0.02), 0.3, 0.8, 0.1, 0.1),
    "losses, 1000 rows, unequal seeds": World(
        np.zeros(2), False, 0.3, 1000, (0.05, 0.02), 0.3, 0.8, 0.1, 0.1
    ),
}


# Twelve cells take some minutes each.
WITH_TWELVE = [
    "hits, 90 %, 30 rows, seeds alike",
    "losses, 100 rows, unequal seeds",
    "hits, 99 %, 100 rows",
    "hits, 95 %, 360 rows",
]


def rng_of(name: str) -> np.random.Generator:
    """Random numbers of a row's own, whichever others are drawn."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def print_errors(world: str, draws: int) -> None:
    """Any false statement, by kind, and how often all intervals hold."""
    print(f"## Errors at the boundary, {draws} draws\n")
    print(
        "In percent, after one look at 5 / 10 / 20 / 40 seeds; after rounds up to 40. So many draws explain"
    )
    limits = [100 * highest(limit, draws) for limit in (0.025, 0.05)]
    print("{:.2f} where 2.5 % is true, {:.2f} where 5 % is.\n".format(*limits))
    print("| world | cells | better | as good | worse | all intervals hold |\n" + "|---" * 6 + "|")
    names = [(name, False) for name in WORLDS] + [(name, True) for name in WITH_TWELVE]
    for name, twelve in names:
        for place, at in boundaries(WORLDS[name], twelve).items():
            row = f"| {name} | {place} |"
            if world in row:
                found = study(at, rng_of(row), draws, who=["procedure"])
                looks = [found.once["procedure", seeds] for seeds in ROUNDS]
                looks.append(found.rounds["procedure", ROUNDS[-1]])
                print(row, error_text(at, looks, draws), "|", flush=True)


def error_text(world: World, looks: list[Look], draws: int) -> str:
    """The shares of false statements, by kind, and of intervals that hold, in percent."""
    shares = [false_shares(world, look.codes) for look in looks]
    held = [1 - float(look.held.mean()) for look in looks]
    columns = [[marked(share[kind], limit, draws) for share in shares] for kind, limit in LIMITS.items()]
    columns.append([marked(share, concluding.ERROR, draws, 100.0) for share in held])
    return " | ".join(f"{' / '.join(column[:-1])}; {column[-1]}" for column in columns)


def marked(share: float, limit: float, draws: int, of: float = 0.0) -> str:
    """The share in percent, or what is left of `of`; in bold type where the limit does not explain it."""
    mark = "**" if share > highest(limit, draws) else ""
    return f"{mark}{abs(of - 100 * share):.1f}{mark}"


POWERS = {
    "better by 1.5 points, 2 cells, 360 rows": (World(np.array([0.0, -0.015])), "better"),
    "better by 2.5 points, 2 cells, 360 rows": (World(np.array([0.0, -0.025])), "better"),
    "better by 2.5 points, 12 cells, 360 rows": (World(np.array([0.0, *[-0.025] * 11])), "better"),
    "better by 1.2 points, 12 cells, 2000 rows": (
        World(np.array([0.0, *[-0.012] * 11]), rows=2000),
        "better",
    ),
    "as good, 2 equal cells, 360 rows": (World(np.zeros(2)), "as good"),
    "as good, 2 equal cells, 2000 rows": (World(np.zeros(2), rows=2000), "as good"),
    "as good, 3 of 12 cells equal, others far, 2000 rows": (
        World(np.array([0.0] * 3 + [-0.05] * 9), rows=2000),
        "as good",
    ),
    "loss better by 6 %, 2 cells, 1000 rows": (
        World(np.array([0.0, -0.018]), False, 0.3, 1000, 0.04, 0.3, 0.8, 0.1, 0.1),
        "better",
    ),
    "loss as good, 2 equal cells, 1000 rows": (
        World(np.zeros(2), False, 0.3, 1000, 0.02, 0.3, 0.8, 0.1, 0.1),
        "as good",
    ),
}


def print_power(world: str, draws: int) -> None:
    """How often the first cell gets the verdict that is true of it."""
    print(f"\n## Power, {draws} draws\n")
    print("In percent, procedure (oracle), and the largest difference from 10 seeds on.\n")
    print("| the first cell is | looks | 5 seeds | 10 | 20 | 40 | difference |\n" + "|---" * 7 + "|")
    for name, (at, verdict) in POWERS.items():
        if world not in name:
            continue
        found = study(at, rng_of(name), draws)
        for how, looks in (("one", found.once), ("rounds", found.rounds)):
            pairs = [[power(looks[who, n], verdict) for who in ("procedure", "oracle")] for n in ROUNDS]
            print(f"| {name} | {how} | {curve_text(pairs)} |", flush=True)


def power(look: Look, verdict: str) -> float:
    """The share of draws, in percent, whose first cell gets the verdict; better is as good, too."""
    wanted = [concluding.BETTER] if verdict == "better" else [concluding.BETTER, concluding.AS_GOOD]
    return 100 * float(np.isin(look.codes[:, 0], wanted).mean())


def curve_text(pairs: list[list[float]]) -> str:
    """Both curves against the seeds, and their largest difference from 10 seeds on."""
    cells = [f"{own:.1f} ({known:.1f})" for own, known in pairs]
    return " | ".join([*cells, f"{max(known - own for own, known in pairs[1:]):.1f}"])


def print_recommendations(world: str, draws: int) -> None:
    """The time of the recommended cell over that of the fastest truly as good, and how often it is worse."""
    print(f"\n## Recommendations in rounds, {draws} draws, 12 cells up to 2 points apart\n")
    print(
        "Procedure (oracle). Time: geometric mean of its ratio to the fastest cell truly as good; within 1.1:"
    )
    print("how many recommended cells take at most 1.1 times as long as that one.\n")
    print("| test rows | seeds | shown as good, % | of these truly worse, % of all | within 1.1, % | time |")
    print("|---" * 6 + "|")
    for rows in (360, 2000):
        if world not in (name := f"{rows} rows"):
            continue
        at = World(-np.linspace(0, 0.02, 12), rows=rows, valid_rows=359)
        found = study(at, rng_of(name), draws, leave_out=True)
        for seeds in ROUNDS:
            columns = [outcome(at, found, found.rounds[who, seeds]) for who in ("procedure", "oracle")]
            text = [f"{own:.1f} ({known:.1f})" for own, known in zip(*columns, strict=True)]
            print(f"| {rows} | {seeds} | {' | '.join(text)} |", flush=True)


def outcome(world: World, found: Study, look: Look) -> list[float]:
    """How many recommendations are shown, shown and false, as fast as can be; and the ratio of times."""
    cells, shown = recommended(look.codes, found.order, found.seconds)
    truly = best.against_best(world.better) >= -world.margin
    fastest = np.where(truly, found.seconds, np.inf).min(-1)
    ratio = found.seconds[np.arange(len(cells)), cells] / fastest
    shares = [shown.mean(), (shown & ~truly[cells]).mean(), (ratio <= recommending.EQUALLY_FAST).mean()]
    return [*(100 * float(share) for share in shares), float(np.exp(np.log(ratio).mean()))]


def recommended(codes: np.ndarray, order: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The recommended cell of each draw, and whether it is shown to be as good as the best."""
    found = [
        recommending.recommend(_conclusion(c), o.tolist(), s, s)
        for c, o, s in zip(codes, order, seconds, strict=True)
    ]
    return np.array([f.cell for f in found]), np.array([f.shown for f in found])


def print_constant(world: str, draws: int) -> None:
    """How often any of 12 cells is shown to beat a constant prediction that all are as good as, or worse."""
    print(f"\n## A constant prediction, {draws} draws, 12 cells\n")
    print(
        "| the constant is right on | cells below it by | seeds | some cell beats it, % |\n"
        + "|---" * 4
        + "|"
    )
    for share in (0.6, 0.9):
        for gap in (0.0, 0.02):
            for seeds in (5, 20):
                rng = rng_of(f"{share}, {gap}, {seeds}")
                beaten = float(np.mean([_beats_constant(rng, share, gap, seeds) for _ in range(draws)]))
                print(
                    f"| {share:.0%} | {100 * gap:.0f} points | {seeds} | {marked(beaten, 0.025, draws)} |",
                    flush=True,
                )


def _beats_constant(rng, share: float, gap: float, seeds: int) -> bool:
    world = World(np.zeros(13), first=share - gap, rows=100, seed=0.06)
    scores = world.draw(rng, 1, seeds)[0]
    constant = rng.random(world.rows) < share
    looks = concluding.CellScores(list(scores[:12]), hits=True, higher_is_better=True)
    return bool((recommending.lower_bounds_over(looks, constant, [seeds], [1.0]) > 0).any())


TABLES = {
    "errors": print_errors,
    "power": print_power,
    "recommendations": print_recommendations,
    "constant": print_constant,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="draws of each world")
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES), help="which tables")
    parser.add_argument("--world", default="", help="only rows that have this text in their names")
    arguments = parser.parse_args()
    for name in arguments.only:
        begun = time.perf_counter()
        TABLES[name](arguments.world, arguments.draws)
        print(f"\n{time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
