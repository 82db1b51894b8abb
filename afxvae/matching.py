"""`match`: from two recordings to a preset, its rendering and an honest report.

Both recordings are analysed at one loudness. The model proposes treatments, its critic predicts how
much nearer each would bring the input to the unknown truth, and "leave it as it is" wins in doubt.
The report measures style distances that took no part in the choice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from .analysis import Cutter, as_audio, clip_period, once
from .decision import decide
from .dsp.features import RUN_IN, SAMPLE_RATE
from .finishing import render, through
from .measure import measure_ring, measure_settings, of_one_channel
from .presets import Preset
from .recordings import Recording, Spool
from .steering import steer
from .styles import Style, with_mean_levels
from .types import UsageError
from .wishes import Wishes, check_weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from .candidates import Candidate
    from .decision import Decision
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior

__all__ = ["Alternative", "Finding", "Match", "match", "match_recordings"]

_SHORT = 0.1  # standard deviations, by which a move may miss its wish and nothing is said
_SURE = 0.9  # probability of one source, above which there is no question
_QUESTION = "If both are of one voice or instrument, say so (--same-source): more is done then."


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A candidate that was not chosen, as complete as the one that was.

    Attributes:
        preset: The chain with its settings.
        name: Of the candidate.
        advantage: What the critic expects it to gain over doing nothing, in MR-STFT.
        doubt: The critic's scale of doubt about that.
        notes: Sentences about what else was done.
    """

    preset: Preset
    name: str
    advantage: float
    doubt: float
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found for two recordings.

    Attributes:
        preset: The chain with its settings.
        report: By metric, the style distance to the reference ``before`` and ``after``.
        decision: Name of the chosen candidate; ``"nothing"`` where the input was left as it is.
        candidates: Every candidate's name, expected advantage and doubt, the chosen one marked.
        notes: Sentences about what else was done.
        alternatives: The best of the other candidates, as many as were asked for and are there.
        intervals: By effect and knob of what is on, where it lies with 80 %, in its unit: from how
            estimates erred on recordings that took no part in training. Empty for weights without.
        refinement: At effort high, see `Refined.report`; None where nothing was refined.
        posterior: Over the latent of treatments.
        seconds: Time taken.
        real_time_factor: That over the input's duration.
    """

    preset: Preset
    report: dict[str, dict[str, float]]
    decision: str
    candidates: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)
    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    refinement: dict[str, Any] | None = None
    posterior: Posterior | None = None
    seconds: float = 0.0
    real_time_factor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Match(Finding):
    """What `match` returns: a `Finding`, and how it sounds.

    Attributes:
        audio: ``(channel, time)`` at the input's rate and length, the same as
            ``preset.apply(input, sample_rate)``.
    """

    audio: Tensor


def match(
    model: AFXStyleVAE,
    audio: Any,
    reference: Any,
    *,
    sample_rate: int,
    reference_rate: int | None = None,
    effort: str = "normal",
    loudness: str | float = "reference",
    seed: int = 0,
    only: str | Iterable[str] | None = None,
    without: str | Iterable[str] | None = None,
    amount: float = 1.0,
    alternatives: int = 0,
    move: Mapping[str, float] | None = None,
    same_source: bool | None = None,
) -> Match:
    """Make `audio` sound as if it had gone through the production of `reference`.

    Args:
        model: Estimates and chooses.
        audio: ``(channel, time)`` or ``(time,)`` tensor or array, full scale +-1, any length.
        reference: Another recording, ``(channel, time)`` or ``(time,)``, or the `Style` of one, or
            a list of tuples ``(recording or style, weight)``: see `match_recordings`.
        sample_rate: Of `audio`, Hz.
        reference_rate: Of `reference`, the same if omitted; styles know theirs.
        effort: ``"fast"``: the posterior mean, what was measured, or nothing; ``"normal"``: many;
            ``"high"``: the best of them refined by gradient too, see `afxvae.refinement`.
        loudness: Of the result: ``"reference"``, ``"keep"`` or a value in LUFS. The true peak stays
            below full scale whatever is asked for.
        seed: Of the samples drawn from the posterior.
        only: Names of the effects that may be used, or one text with commas between them; all if
            omitted. The gain at the end, which `loudness` is about, is always among them.
        without: Names of effects that may not be used, in the same way.
        amount: How much of the found treatment is applied, 0 to 1.5; stereo width and the loudness
            of the reference are approached as far.
        alternatives: How many presets to make of candidates that were not chosen, the best by the
            critic's opinion; the input is rendered with each, for its loudness.
        move: By name of an attribute, how far to go on from what was found, in standard deviations
            of what random treatments do: ``{"brightness": 0.5}``; see `afxvae.steering.LEVERS`.
        same_source: Whether both are of one voice or instrument; judged by their sound if None.

    Raises:
        AudioError: A recording is silent, shorter than 0.1 s, or not finite.
        UsageError: An unknown effort, loudness, effect or attribute, an amount or a move out of
            range, or the reference is the input.
    """
    since = time.perf_counter()
    audio = as_audio(audio)
    wishes = Wishes(
        effort=effort,
        loudness=loudness,
        seed=seed,
        only=only,
        without=without,
        amount=amount,
        alternatives=alternatives,
        move=move or {},
        same_source=same_source,
    )
    mine = Recording.of_array(audio, sample_rate, "The input")
    theirs = _references(mine, reference, reference_rate or sample_rate)
    done: list[Tensor] = []
    with Spool() as spool:
        found = match_recordings(
            model,
            mine,
            theirs[0][0],
            also=[(one, weight / theirs[0][1]) for one, weight in theirs[1:]],
            spool=spool,
            put=done.append,
            wishes=wishes,
            since=since,
        )
    return Match(**vars(found), audio=torch.cat(done, 1).to(audio.device))


@torch.no_grad()
def match_recordings(
    model: AFXStyleVAE,
    source: Recording,
    reference: Style,
    *,
    spool: Spool,
    put: Callable[[Tensor], None],
    also: Sequence[tuple[Style, float]] = (),
    wishes: Wishes | None = None,
    since: float | None = None,
) -> Finding:
    """`match` for recordings of any length, in memory that does not grow with it.

    The result is rendered once; how loud it then is decides about the gain at its end. So is every
    alternative.

    Args:
        model: Estimates and chooses.
        source: The input.
        reference: The style that is wanted.
        spool: Keeps the rendered input until its gain is known, one rendering at a time.
        put: Takes the result block by block, each ``(channel, time)`` on the device of `model`.
        also: Styles of other references, and how much each weighs beside the first. Embedding,
            loudness in LUFS and width in dB are the weighted means; what can be measured (echo,
            room, chorus, the equaliser between moments that sound alike), and the report, are of
            the first.
        wishes: How; the defaults if omitted.
        since: When the work began, by `time.perf_counter`; now if omitted.
    """
    since = time.perf_counter() if since is None else since
    wishes = wishes or Wishes()
    device = next(model.parameters()).device
    clips, own = (part.to(device) for part in source.clips())
    theirs, first = reference.mixed.to(device), reference.first.to(device)
    # The channels of a stereo effect differ, and their mix is neither. What is shorter than a clip
    # is heard repeated, and a repetition would measure like an echo.
    period = clip_period(reference.frames, reference.sample_rate)
    plain = once(own[:, 0, RUN_IN:], clip_period(source.frames, source.sample_rate))
    whole = once(first, period)
    mixed = once(theirs, period) if reference.channels > 1 else None
    where = reference.sample_rate, mixed, reference.start_s, source.sample_rate
    measured = measure_settings(model.chain, plain, whole, *where)
    ring = measure_ring(plain, whole) if wishes.allows("ring_modulator") else None
    mine, wanted = (own, first) if of_one_channel(measured) else (clips, theirs)
    allowed = torch.tensor([wishes.allows(effect) for effect in model.chain.names])
    others = [(one.mixed.to(device), weight) for one, weight in also]
    given = mine, wanted, measured, wishes.effort, wishes.seed, allowed, others
    decision = decide(model, *given, ring, wishes.same_source, period)
    reference = with_mean_levels(reference, also)

    def moved(candidate: Candidate) -> tuple[Candidate, list[str]]:
        if not wishes.move or wishes.amount == 0.0:
            return candidate, []
        candidate, reached = steer(model, candidate, clips, wishes.move, allowed)
        return candidate, [_about_moves(wishes, reached)]

    best, moves = moved(decision.best)
    chosen = render(model, best, source, reference, wishes, spool)
    cutter = Cutter(source.mixed)
    for block in through(chosen.end, source, chosen.blocks, device):
        put(block)
        cutter.add(block.mean(0).cpu())
    after = cutter.clips()[:, 0, RUN_IN:].to(device)
    alternatives = []
    for other in decision.others(wishes.alternatives):
        wanted_other, how = moved(other)
        made = render(model, wanted_other, source, reference, wishes, spool)
        notes = made.notes + how
        alternatives.append(Alternative(preset=made.preset, notes=notes, **_opinion(other)))
    report = _report(clips[:, 0, RUN_IN:], after, theirs)
    levels = {"before": source.lufs, "after": chosen.lufs}  # as files: clips are of one channel
    report["loudness_lu"] = {w: round(abs(v - reference.lufs), 4) for w, v in levels.items()}
    refined, taken = decision.refined, decision.refinement_taken
    told = [refined.told(taken)] if refined else []
    seconds = time.perf_counter() - since
    return Finding(
        preset=chosen.preset,
        report=report,
        decision=_name(decision, best, chosen.end),
        candidates=_rows(decision),
        notes=told + chosen.notes + moves + _about(wishes, decision, len(alternatives)),
        alternatives=alternatives,
        intervals=decision.intervals(model),
        refinement=refined.report(model, taken) if refined else None,
        posterior=decision.inferred.posterior,
        seconds=round(seconds, 3),
        real_time_factor=round(seconds / source.duration_s, 4),
    )


def _references(mine: Recording, given: Any, sample_rate: int) -> list[tuple[Style, float]]:
    """Of one recording or style, or of a list of tuples of one and its weight.

    Raises:
        UsageError: A weight is not above 0, or one of them is the input, `mine`.
    """
    several = isinstance(given, list) and bool(given)
    if not several or not all(isinstance(one, tuple) and len(one) == 2 for one in given):
        given = [(given, 1.0)]
    found = []
    for place, (reference, weight) in enumerate(given, 1):
        name = "The reference" if len(given) == 1 else f"Reference {place}"
        check_weight(weight, name[0].lower() + name[1:])
        if isinstance(reference, Style):
            style, same = reference, reference.is_of(mine)
        else:
            recording = Recording.of_array(as_audio(reference), sample_rate, name)
            style, same = Style.of(recording), mine.same_samples(recording)
        if same:
            raise UsageError("The reference is the input itself, so there is nothing to match.")
        found.append((style, float(weight)))
    return found


def _about_moves(wishes: Wishes, reached: Mapping[str, float]) -> str:
    """How far attributes have moved, and how far they should have where that is not the same."""
    said = []
    for name, distance in wishes.move.items():
        short = abs(reached[name] - distance) > _SHORT
        said.append(f"{name} {reached[name]:+.1f}" + (f" of {distance:+g}" if short else ""))
    whole = "" if wishes.amount == 1.0 else ", all of it applied"
    return f"Moved from what was found{whole}: {', '.join(said)}."


def _about(wishes: Wishes, decision: Decision, alternatives: int) -> list[str]:
    """What else there is to say of how it was made."""
    unsure = wishes.same_source is None and decision.same_source < _SURE
    notes = [_QUESTION] if decision.index == 0 and unsure else []
    if wishes.amount != 1.0:
        notes.append(f"{100.0 * wishes.amount:g} % of it applied.")
    if alternatives < wishes.alternatives:
        why = "; effort fast weighs few candidates" if wishes.effort == "fast" else ""
        notes.append(f"Alternatives: {alternatives}, as no more were weighed{why}.")
    return notes


def _name(decision: Decision, best: Candidate, end: Preset) -> str:
    """Of what was found: the chosen candidate, or what was measured in place of it."""
    if decision.index > 0 or end.is_empty or not best.is_nothing:
        return decision.best.name
    return "width and loudness only" if "width" in end.settings else "loudness only"


def _opinion(candidate: Candidate) -> dict[str, Any]:
    """Of the critic."""
    return {
        "name": candidate.name,
        "advantage": round(candidate.advantage, 4),
        "doubt": round(candidate.spread, 4),
    }


def _rows(decision: Decision) -> list[dict[str, Any]]:
    return [
        {**_opinion(candidate), "chosen": place == decision.index}
        for place, candidate in enumerate(decision.candidates)
    ]


def _report(*clips: Tensor) -> dict[str, dict[str, float]]:
    """By measures without part in the choice, see `style_report`."""
    from .evaluation.style import style_report

    before, after, theirs = (part.flatten() for part in clips)
    return style_report(before, after, theirs, SAMPLE_RATE)
