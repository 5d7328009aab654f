"""What the pages of docs/concepts say under "What to see", as numbers that fresh seeds can contradict.

A page's blocks run as they stand, with another `first_seed`; a `Claim` then holds one number for each seed
that the page shows. It is supported where the t interval of their mean, over all sets of seeds, lies wholly
where the statement puts it. A false statement passes with probability `ERROR` at most; the probability that a
true one is missed depends on how true it is, and `benchmarks/claims_of_docs.py` estimates it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from building.blocks import BLOCK
from scipy.stats import t as student

PAGES = Path(__file__).parent / "concepts"
EPOCHS = re.compile(r"\bepochs=\d+")
FIRST_SEED = re.compile(r"^first_seed = 0\b", re.MULTILINE)
ERROR = 0.001
A_FIFTH_GONE = 0.8 * np.log(10)  # of the loss of guessing one of ten digits


class Claim(NamedTuple):
    """A statement that the mean of `values`, one for each seed, lies between `low` and `high`."""

    statement: str
    values: Any
    low: float = 0.0
    high: float = np.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The one-sided bounds of the mean at the error `ERROR`, both of them."""
        values = np.asarray(self.values, np.float64).ravel()
        half = student.ppf(1 - ERROR, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
        return values.mean() - half, values.mean() + half

    @property
    def is_supported(self) -> bool:
        """Whether the interval lies wholly between the claim's ends; an unknown one (NaN) does not."""
        low, high = self.interval
        return bool(self.low < low and high < self.high)


class Fact(NamedTuple):
    """A statement without chance, or one that has to hold in every run."""

    statement: str
    is_supported: bool


def together(sets: Sequence[Claim | Fact]) -> Claim | Fact:
    """One statement on all sets of seeds that it was measured on."""
    first = sets[0]
    if isinstance(first, Fact):
        return first._replace(is_supported=all(fact.is_supported for fact in sets))
    values = [np.ravel(claim.values) for claim in sets if isinstance(claim, Claim)]
    return first._replace(values=np.concatenate(values))


def replayed(page: str, first_seed: int, epochs: int | None = None) -> dict[str, Any]:
    """The names that a page's blocks leave behind when they start from another seed, over `epochs`."""
    text = (PAGES / f"{page}.md").read_text()
    blocks = BLOCK.findall(text if epochs is None else EPOCHS.sub(f"epochs={epochs}", text))
    namespace: dict[str, Any] = {"__name__": page}
    for block in blocks:
        exec(compile(FIRST_SEED.sub(f"first_seed = {first_seed}", block), f"{page}.md", "exec"), namespace)
    if namespace.get("first_seed") != first_seed:
        raise ValueError(f"{page}.md must have the line `first_seed = 0`, to be run with other seeds")
    return namespace


def measured(page: str, first_seeds: Sequence[int]) -> list[Claim | Fact]:
    """The statements of a page, on a set of seeds from each of these on."""
    return stated(page, [replayed(page, first_seed) for first_seed in first_seeds])


def stated(page: str, shown: Sequence[dict[str, Any]]) -> list[Claim | Fact]:
    """The statements of a page, on what its blocks left behind each time."""
    sets = map(STATEMENTS[page], shown)
    return [together(found) for found in zip(*sets, strict=True)]


def _inside_the_grid(shown: dict[str, Any]) -> Fact:
    at_an_end = shown["best"].isin([shown["rates"][0], shown["rates"][-1]])
    return Fact("no best rate lies at an end of the grid", not bool(at_an_end.any()))


def batch_sizes(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on batch sizes."""
    loss, best = shown["runs"].valid_loss, shown["best"].values
    sgd, mini, full = (loss.isel(batch_size=i).transpose("seed", "epoch").values for i in range(3))
    at_sgds = shown["choosing"].valid_loss.isel(epoch=-1).sel(learning_rate=best[0])
    own, others = at_sgds.isel(batch_size=0).values, at_sgds.isel(batch_size=2).values
    updates = shown["last"].updates.isel(seed=0).values.tolist()
    return [
        Claim("after equally many examples SGD is ahead of BGD", full[:, -1] - sgd[:, -1]),
        Claim("and so is B = 32", full[:, -1] - mini[:, -1]),
        Fact("they have made 16,170 and 510 updates against 15", updates == [16170, 510, 15]),
        Claim("15 updates of BGD are worth more than 34 of B = 32", mini[:, 0] - full[:, -1]),
        Claim("510 updates of B = 32 are worth more than 1,078 of SGD", sgd[:, 0] - mini[:, -1]),
        Fact("the best rate falls with the batch size", best[0] < best[1] < best[2]),
        Claim("at SGD's best rate BGD's loss is over ten times as high", others - 10 * own),
        Claim("SGD and B = 32 end within 0.03 of each other", sgd[:, -1] - mini[:, -1], -0.03, 0.03),
        _inside_the_grid(shown),
    ]


def momentum(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on momentum."""
    slopes = [float(x[100] / x[60]) ** (1 / 40) for x in shown["quadratic"].values()]
    distances = shown["quadratic"]["momentum"]
    training = np.log10(np.maximum(shown["last"].train_loss.values, 1e-7))  # some reach 0 in float32
    validation = np.log10(shown["last"].valid_loss.values)
    return [
        Fact("the slopes are the formulas'", bool(np.allclose(slopes, [0.9802, 0.8182, 0.9], atol=0.012))),
        Fact("momentum first moves away", float(distances[1:10].max()) > float(distances[0])),
        Claim("momentum's training loss is over ten times lower", training[0] - training[1], 1.0),
        Claim("Nesterov's training loss is over ten times lower", training[0] - training[2], 1.0),
        Claim("plain has a better validation loss than momentum", validation[1] - validation[0]),
        Claim("plain has a better validation loss than Nesterov", validation[2] - validation[0]),
        _inside_the_grid(shown),
    ]


def adaptive(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on Adagrad and its successors."""
    moments, steps = shown["moments"], {name: _by_group(lines) for name, lines in shown["lines"].items()}
    later = moments >= 10
    running, rare = [steps["RMSprop"], steps["Adadelta"]], steps["RMSprop"][2]
    return [
        Fact("rare words have longer steps", all((s[2] > s[1])[later].all() for s in steps.values())),
        Fact("than frequent ones", all((s[1] > s[0])[later].all() for s in steps.values())),
        Fact("Adagrad's steps only fall", bool((np.diff(steps["Adagrad"]) <= 1e-6).all())),
        Fact(
            "in order of frequency",
            bool((np.diff(steps["Adagrad"][:, -1] / steps["Adagrad"][:, 0]) > 0).all()),
        ),
        Fact("a running mean's grow again", all((s[:, -1] > 1.2 * s.min(axis=1)).all() for s in running)),
        Fact("RMSprop's for rare words end as long as ever", rare[-1] > 0.9 * rare.max()),
    ]


def _by_group(lines) -> np.ndarray:
    """The lines of frequent, medium and rare words, [3, moments]."""
    return np.array([line for _, line in lines.values()])


def schedules(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on schedules."""
    losses, expected = shown["losses"], shown["expected"]
    floor, last = float(losses["constant 0.5"][-100:].mean()), {k: float(x[-1]) for k, x in losses.items()}
    excess = np.log(shown["last"].transpose("schedule", "seed").values)
    ends = {"step": 2, "cosine": 3}
    return [
        Fact("rate 0.5 stops at the formula's floor", abs(floor / expected(0.5, 10**6) - 1) < 0.05),
        Fact("rate 0.05 gets lower", last["constant 0.05"] < floor / 2),
        Fact("and 1/t passes both", last["1/t"] < min(last["constant 0.05"], last["constant 0.5"])),
        *(Claim(f"{name} ends below constant 0.05", excess[0] - excess[i]) for name, i in ends.items()),
        *(Claim(f"{name} ends below constant 0.005", excess[1] - excess[i]) for name, i in ends.items()),
    ]


def activations(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on activations."""
    ratios = {name: np.log10(norms[:, 0] / norms[:, -1]) for name, norms in shown["norms"].items()}
    early = shown["runs"].valid_loss.sel(activation="sigmoid").isel(epoch=1).values
    accuracy = dict(zip(shown["NAMES"], shown["last"].valid_accuracy.values, strict=True))
    return [
        Claim("sigmoid loses four orders of magnitude", ratios["sigmoid"], -4.5, -3.5),
        Claim("tanh loses none", ratios["tanh"], -0.5, 0.5),
        Claim("relu loses none", ratios["relu"], -0.5, 0.5),
        _inside_the_grid(shown),
        Claim("sigmoid has lost less than a fifth after two epochs", early, A_FIFTH_GONE),
        Claim("sigmoid is behind tanh after ten", accuracy["tanh"] - accuracy["sigmoid"]),
        Claim("sigmoid is behind relu after ten", accuracy["relu"] - accuracy["sigmoid"]),
        Claim("tanh and relu are within two points", accuracy["tanh"] - accuracy["relu"], -0.02, 0.02),
    ]


def initialisation(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on initialisation."""
    per_layer = {v: (s[:, -1] / s[:, 1]) ** (1 / 4) for v, s in shown["scales"].items() if v > 0}
    curves = {float(v): shown["runs"].valid_loss.sel(variance=v).values for v in shown["names"]}
    accuracy = {float(v): shown["accuracy"].sel(variance=v).values for v in shown["names"]}
    best = {float(v): float(shown["best"].sel(variance=v)) for v in shown["names"]}
    biases = [float(abs(layer["b"]).max()) for layer in shown["trained"]]
    return [
        Claim("He's rule keeps the scale", per_layer[2.0], 0.9, 1.1),
        Claim("Glorot's loses √2 per layer", per_layer[1.0] * np.sqrt(2), 0.9, 1.1),
        Claim("8 / n doubles it", per_layer[8.0] / 2, 0.9, 1.1),
        Claim("1/4 / n divides it by about 3", 1 / per_layer[0.25], 2.5, 3.2),
        Claim("He's trains well", accuracy[2.0], 0.93),
        Claim("Glorot's trains well", accuracy[1.0], 0.93),
        Claim("He's loss ends less than 0.05 lower", curves[2.0][:, -1] - curves[1.0][:, -1], -0.05),
        Claim("with 1/4 less than a fifth is gone after three epochs", curves[0.25][:, 2], A_FIFTH_GONE),
        Claim("with 8 the loss ends far higher", curves[8.0][:, -1] - 2 * curves[2.0][:, -1]),
        Fact("at a smaller rate", best[8.0] < best[2.0]),
        Fact("from zeros every weight stays 0", all(not abs(layer["w"]).any() for layer in shown["trained"])),
        Fact("only the last bias moves", biases[-1] > 0 and not any(biases[:-1])),
        _inside_the_grid(shown | {"best": shown["best"].sel(variance=[8.0, 2.0, 1.0, 0.25])}),
    ]


def dropout(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on dropout."""
    fresh, rates = shown["fresh"].valid_loss.transpose("kind", "rate", "seed").values, shown["rates"]
    none, low = fresh[0, 0], fresh[:, rates.index(0.3)]
    expected, pairs = shown["expected"], shown["pairs"]
    off = {name: (c - expected)[pairs] for name, c in shown["covariances"].items()}
    scale = np.abs(expected[pairs]).max()
    chosen = shown["chosen"].values
    grows = np.diff(shown["fresh"].train_loss.transpose("kind", "seed", "rate").values, axis=-1)
    return [
        Fact("dropout has the formula's covariances", bool(np.abs(off["dropout"]).max() < 0.1 * scale)),
        Fact("DropConnect has none", bool(np.abs(off["DropConnect"] + expected[pairs]).max() < 0.1 * scale)),
        Claim("without either the loss is higher than with dropout 0.3", none - low[0]),
        Claim("and than with DropConnect 0.3", none - low[1]),
        Claim("the best of each are within 0.01", chosen[0] - chosen[1], -0.01, 0.01),
        Claim("the training loss grows with the rate", grows.mean(axis=(0, 2))),
        Claim("at 0.7 DropConnect is too much", fresh[1, -1] - chosen[1]),
    ]


def early_stopping(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on early stopping."""
    patiences, test = shown["patiences"], shown["test_loss"].T
    valid = shown["whole"].valid_loss.transpose("seed", "epoch").values
    train = shown["whole"].train_loss.transpose("seed", "epoch").values
    run = shown["epochs_run"].transpose("seed", "patience").values
    ended = run - patiences - shown["best_epoch"].transpose("seed", "patience").values
    first, five, never = test[0], test[2], test[-1]
    return [
        Claim("the validation loss falls until about epoch 20", valid[:, 4] - valid[:, 19]),
        Claim("and has risen at the end", valid[:, -1] - valid[:, 19]),
        Claim("the training loss goes on falling", train[:, 19] - train[:, -1]),
        Fact("more patience, more epochs", bool((np.diff(run, axis=1) >= 0).all())),
        Fact("a run ends `patience` epochs after its best", bool((ended[run < shown["epochs"]] == 0).all())),
        Claim("patience 1 leaves a higher loss than 5", first - five),
        Claim("beyond 5 the loss falls by less than 0.01", five - never, -np.inf, 0.01),
    ]


def regularisation(shown: dict[str, Any]) -> list[Claim | Fact]:
    """Of the page on regularisation."""
    at = shown["strengths"][1:].index(0.003)
    penalty, decay = ({g: x[:, at] for g, (_, x) in shown["kept"][k].items()} for k in ("penalty", "decay"))
    nonzero, losses = shown["nonzero"], shown["l1"].dataset.valid_loss.isel(epoch=-1)
    kinds = losses.transpose("kind", "strength").values
    return [
        Claim(
            "a penalty takes more from rare words than from medium ones", penalty["medium"] - penalty["rare"]
        ),
        Claim("and from those more than from frequent ones", penalty["frequent"] - penalty["medium"]),
        Claim("decay takes the same share", decay["frequent"] - decay["rare"], -0.05, 0.05),
        Fact("a penalty's gradient leaves 60 weights", nonzero["penalty"] == [60] * len(nonzero["penalty"])),
        Fact("thresholding leaves ever fewer", bool((np.diff(nonzero["threshold"]) < 0).all())),
        Fact("at the same validation loss", bool(np.abs(kinds[0] - kinds[1]).max() < 0.001)),
        Fact("which is best at the least strength", bool((kinds.argmin(axis=1) == 0).all())),
    ]


STATEMENTS = {
    "batch_sizes": batch_sizes,
    "momentum": momentum,
    "adaptive": adaptive,
    "schedules": schedules,
    "activations": activations,
    "initialisation": initialisation,
    "dropout": dropout,
    "regularisation": regularisation,
    "early_stopping": early_stopping,
}
