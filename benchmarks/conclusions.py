"""Measure how often the verdicts of a comparison are wrong, and how much they miss of what could be known.

    python benchmarks/conclusions.py [--draws 2000] [--only errors|rounds|power|recommendations|constant]

Cells, seeds and test rows are drawn crossed, from worlds whose true scores and variances are known in closed form.
Prints Markdown tables. An oracle is the same procedure with the true variances in place of those estimated.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom, multivariate_normal

from jaxgd.studies.verdicts import best, concluding, crossed, margins, recommending, spending

CHUNK = 6_000_000  # scores drawn at once
ROUNDS = spending.ROUNDS
FAR = 0.1  # how far below the others cells lie that only stand beside
SURE = 0.99  # a share is above its limit where so many draws of the limit would lie below it


@dataclass(frozen=True)
class World:
    """Cells, seeds and rows with known truth: hits where a normal variable is above 0, or its exponential as a loss.

    better: [cells], by how much each cell is better than the first one, in units of the score. seed: the standard
    deviation that a seed gives a cell, by cell. shared: the part of it, from 0 to 1, that all cells of a seed share.
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

    @property
    def true(self) -> np.ndarray:
        """The cells' true scores."""
        return self.first + (self.better if self.hits else -self.better)

    @property
    def margin(self) -> float:
        """The margin of practical equality, known beforehand."""
        return margins.accuracy_margin(self.rows) if self.hits else margins.loss_margin(self.first)

    def covariances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of what is normal: between runs of cells that share the seed, the row, and both; each [cells, cells]."""
        cells = len(self.better)
        sd = np.broadcast_to(np.asarray(self.seed, float), (cells,))
        seeds = self.shared * np.outer(sd, sd) + (1 - self.shared) * np.diag(sd**2)
        rows = self.row**2 + self.cell_by_row**2 * np.eye(cells)
        return seeds, rows, seeds + rows + self.chance**2 * np.eye(cells)

    def centre(self) -> np.ndarray:
        """The mean of what is normal, for the true scores."""
        variance = np.diag(self.covariances()[2])
        return ndtri(self.true) * np.sqrt(1 * variance) if self.hits else np.log(self.true) - variance / 2

    def draw(self, rng, draws: int, seeds: int) -> np.ndarray:
        """Scores [draws, cells, seeds, rows]."""
        cells = len(self.better)
        sd = np.broadcast_to(np.asarray(self.seed, float), (cells,))[:, None]

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal((draws, *shape), np.float32)

        both = np.sqrt(self.shared) * normal(1, seeds) + np.sqrt(1 - self.shared) * normal(cells, seeds)
        by_row = self.row * normal(1, self.rows) + self.cell_by_row * normal(cells, self.rows)
        latent = np.float32(self.chance) * normal(cells, seeds, self.rows)
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


def true_differences(world: World, seeds: int, mean: np.ndarray) -> crossed.Differences:
    """Mean differences as seen, with their true variances, which need no degrees of freedom."""
    moments = world.moments(seeds)
    parts = [np.add.outer(np.diag(p), np.diag(p)) - 2 * p for p in moments[1:4]]
    variance = parts[0] / seeds + parts[1] / world.rows + parts[2] / (seeds * world.rows)
    shape = mean.shape
    return crossed.Differences(
        mean, np.broadcast_to(variance, shape), np.full(shape, 1e9), None, world.rows
    )


def differences(world: World, scores: np.ndarray, oracle: bool) -> crossed.Differences:
    """All pairs' differences of scores [draws, cells, seeds, rows], larger being better."""
    found = crossed.differences_of(crossed.crossed_moments(scores, world.hits))
    mean = found.mean if world.hits else -found.mean
    return true_differences(world, scores.shape[-2], mean) if oracle else found._replace(mean=mean)


def chunks(world: World, rng, draws: int, seeds: int) -> Iterator[np.ndarray]:
    """All draws, so many at a time that they fit in memory."""
    size = max(1, CHUNK // (len(world.better) * seeds * world.rows))
    for start in range(0, draws, size):
        yield world.draw(rng, min(size, draws - start), seeds)


def margins_of(world: World, scores: np.ndarray) -> np.ndarray:
    """What the procedure takes for the margin, [draws, 1]: of losses it is read off the data."""
    if world.hits:
        return np.full((len(scores), 1), world.margin)
    return margins.OF_LOSS * scores.mean((-2, -1)).min(-1, keepdims=True)


def one_look(world: World, scores: np.ndarray, oracle: bool = False) -> best.Intervals:
    """The intervals of one look at all seeds with the whole error."""
    return best.intervals_of(best.ends_of(differences(world, scores, oracle), concluding.ERROR))


def codes_at(world: World, rng, draws: int, seeds: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Codes of verdicts after one look, of the procedure and of the oracle; how often all intervals hold."""
    found, known, held = [], [], []
    truth = best.against_best(world.better)
    for scores in chunks(world, rng, draws, seeds):
        own, limit = one_look(world, scores), margins_of(world, scores)
        found.append(concluding.verdict_codes(own, limit))
        known.append(concluding.verdict_codes(one_look(world, scores, oracle=True), limit))
        held.append(((own.low <= truth + 1e-12) & (own.high >= truth - 1e-12)).all(-1))
    return np.concatenate(found), np.concatenate(known), float(np.concatenate(held).mean())


def in_rounds(
    world: World, scores: np.ndarray, seconds: np.ndarray, order: np.ndarray, oracle: bool = False
) -> list[np.ndarray]:
    """Codes [draws, cells] after each round, further seeds only for cells that are worth them."""
    shares = spending.shares_of_error(ROUNDS, ROUNDS[-1])
    limit, cells = margins_of(world, scores), len(world.better)
    active, ends, codes = np.ones(scores.shape[:2], bool), None, []
    for seeds, share in zip(ROUNDS, shares, strict=True):
        look = best.ends_of(differences(world, scores[:, :, :seeds], oracle), concluding.ERROR * share)
        look = masked(look, active)
        ends = look if ends is None else best.tightest(ends, look)
        codes.append(concluding.verdict_codes(best.intervals_of(ends), limit))
        active = np.array(
            [
                np.isin(np.arange(cells), worth(codes[-1][d], ends, d, limit, order, seconds))
                for d in range(len(scores))
            ]
        )
    return codes


def masked(ends: best.Ends, active: np.ndarray) -> best.Ends:
    """The ends of pairs of active cells; infinite for the others."""
    pair = active[:, :, None] & active[:, None, :]
    return best.Ends(
        *(
            np.where(pair, part, np.inf if name == "above" else -np.inf)
            for name, part in ends._asdict().items()
        )
    )


def conclusion_of(codes: np.ndarray, ends: best.Ends | None, margin: float) -> concluding.Conclusion:
    """A conclusion with the codes, ends and margin alone, which are all that a recommendation reads."""
    blank: Any = None
    return concluding.Conclusion(*[blank] * 7, margin, codes, ends or blank)


def worth(codes, ends: best.Ends, draw: int, limit, order, seconds) -> list[int]:
    """The cells of one draw that another round is for."""
    own = best.Ends(*(part[draw] for part in ends))
    conclusion = conclusion_of(codes, own, float(limit[draw, 0]))
    return recommending.worth_more_seeds(conclusion, order[draw].tolist(), seconds[draw], seconds[draw])


def recommended(codes: np.ndarray, order: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The recommended cell of each draw, and whether it is shown to be as good as the best."""
    found = [
        recommending.recommend(conclusion_of(c, None, 0.0), o.tolist(), s, s)
        for c, o, s in zip(codes, order, seconds, strict=True)
    ]
    return np.array([f.cell for f in found]), np.array([f.shown for f in found])


def false_shares(world: World, codes: np.ndarray) -> dict[str, float]:
    """The shares of draws with any false statement of a kind; a gap of exactly one margin makes it false."""
    truth, edge = best.against_best(world.better), world.margin + 1e-12
    wrong = {
        "better": (codes == concluding.BETTER) & (truth <= edge),
        "as good": ((codes == concluding.AS_GOOD) | (codes == concluding.BETTER)) & (truth <= -edge + 2e-12),
        "worse": (codes == concluding.WORSE) & (truth >= -edge),
    }
    return {kind: float(cases.any(-1).mean()) for kind, cases in wrong.items()}


LIMITS = {"better": 0.025, "as good": 0.05, "worse": 0.025}


def highest(limit: float, draws: int) -> float:
    """The largest share of so many draws that the limit still explains."""
    return float(binom.ppf(SURE, draws, limit)) / draws


def boundaries(world: World) -> dict[str, World]:
    """The worlds at the boundary of a false verdict: by the name of what is at the boundary."""
    m, far = world.margin, FAR * world.first
    two = {
        "2 cells, 1 margin apart": [0.0, -m],
    }
    twelve = {
        "12 cells, first 1 margin ahead of one, others far": [0.0, -m, *[-far] * 10],
        "12 cells, first 1 margin ahead of all": [0.0, *[-m] * 11],
        "12 cells, one 1 margin behind eleven equal": [0.0] * 11 + [-m],
        "12 cells, six 1 margin behind six equal": [0.0] * 6 + [-m] * 6,
        "12 cells, all equal": [0.0] * 12,
    }
    return {name: _with(world, better) for name, better in {**two, **twelve}.items()}


def _with(world: World, better) -> World:
    """The world with these cells; where seeds differ by cell, the first has the most of it, by turns."""
    better = np.asarray(better, float)
    seed = np.resize(np.atleast_1d(world.seed), len(better))
    return replace(world, better=better, seed=seed)


WORLDS = {
    "hits, 95 %, 360 rows": World(np.zeros(2)),
    "hits, 95 %, 360 rows, seeds far apart and unequal": World(np.zeros(2), seed=(0.6, 0.1, 0.3)),
    "hits, 99 %, 100 rows": World(np.zeros(2), first=0.99, rows=100),
    "hits, 90 %, 30 rows, seeds alike": World(np.zeros(2), first=0.9, rows=30, seed=0.01, chance=0.05),
    "hits, 97 %, 2000 rows": World(np.zeros(2), first=0.97, rows=2000),
    "losses, 100 rows": World(np.zeros(2), False, 0.3, 100, 0.02, 0.3, 0.8, 0.1, 0.1),
    "losses, 1000 rows, unequal seeds": World(np.zeros(2), False, 0.3, 1000, (0.1, 0.02), 0.3, 0.8, 0.1, 0.1),
}


def print_errors(rng, draws: int) -> None:
    """One look at 5, 10 and 40 seeds: any false statement, by kind, and how often all intervals hold."""
    print(f"One look, {draws} draws. Most a limit of 2.5 % explains: {100 * highest(0.025, draws):.2f} %,")
    print(f"5 %: {100 * highest(0.05, draws):.2f} %.\n")
    print("| world | cells | seeds | better | as good | worse | all intervals hold |\n" + "|---" * 7 + "|")
    for name, world in WORLDS.items():
        for place, at in boundaries(world).items():
            for seeds in (5, 10, 40):
                codes, _, held = codes_at(at, rng, draws, seeds)
                print(f"| {name} | {place} | {seeds} | {shares_text(false_shares(at, codes), draws)} | {100 * held:.1f} |", flush=True)


def shares_text(shares: dict[str, float], draws: int) -> str:
    """The shares in percent, those above their limit marked."""
    marks = {kind: "**" if share > highest(LIMITS[kind], draws) else "" for kind, share in shares.items()}
    return " | ".join(f"{marks[kind]}{100 * share:.2f}{marks[kind]}" for kind, share in shares.items())


if __name__ == "__main__":
    import sys
    print_errors(np.random.default_rng(0), int(sys.argv[1]))
