"""Candidate treatments for one input and reference, and the critic's choice among them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from .dsp import spectral
from .dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from .effects import responses
from .measure import MEASURED
from .models.estimate import ESTIMATED, estimated_columns
from .models.vae import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .measure import EqualizerFit, Measured
    from .models.estimate import Estimate
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior

__all__ = [
    "Candidate",
    "Inference",
    "choose",
    "fit_eq",
    "judge",
    "knob_vector",
    "propose",
    "render_candidates",
    "weigh",
    "with_opinions",
]

_ON_ABOVE = {"eq": 0.7, "compressor": 0.9, "overdrive": 0.6}
"""Probabilities above which an effect is on, else even odds; at these switching it on pays on
validation recordings."""
_NOTHING = 0.01
"""Probability that no effect is on, from which on none is proposed."""
_SAMPLES = 2
_LEAST_SPREAD = 0.25  # of the samples in each latent dimension
_SHRUNK = 0.6  # share of every amount that was not measured, which the shrunk candidate keeps
_CERTAIN = 8.0  # log odds
_DOUBTFUL = 4.0  # log odds below which an effect is worth trying the other way
_COPIES = ("chorus", "reverb")
_SOUGHT, _UNSOUGHT = 0.999, 0.9
"""Least probabilities of these, if they were looked for in vain and if they were not: a copy of the
sound that is nearly right is further from the truth than none."""
_CLEARLY = 1.0  # doubts by which a candidate must beat the posterior mean
_FIT_ROUNDS = 4
_FIT_DAMPING = 1.0


@dataclass(frozen=True)
class Candidate:
    """A treatment that might be the wanted one.

    Attributes:
        name: Where it comes from.
        controls: ``(control,)``.
        switches: ``(effect,)`` boolean.
        evidence: What is known of the pair, the same for all candidates, ``(EVIDENCE,)``: the
            model's probability of each estimated effect, and which effects were measured.
        advantage: What the critic expects it to gain, in MR-STFT; 0 for doing nothing.
        spread: The critic's scale of doubt about that.
        sure: Whether it is what was measured and nothing else; no echo, which content can feign.
        likely: Whether it is the posterior mean, some of whose effects are almost certainly on.
    """

    name: str
    controls: Tensor
    switches: Tensor
    evidence: Tensor = field(default_factory=lambda: torch.zeros(EVIDENCE))
    advantage: float = 0.0
    spread: float = 0.0
    sure: bool = False
    likely: bool = False


@dataclass(frozen=True)
class Inference:
    """What was inferred from two recordings.

    Attributes:
        bare: Clips ``(clip, 131072)`` of the reference without what was measured and can be undone.
        posterior: Over the latent, batch 1.
        likeness: Of input and reference, where they sound alike ``(1, N_LIKENESS)``.
        fitted: The equaliser that lies between those moments.
        same_source: Probability that both are of one voice or instrument.
    """

    bare: Tensor
    posterior: Posterior
    likeness: Tensor
    fitted: EqualizerFit
    same_source: float


def fit_eq(model: AFXStyleVAE, audio: Tensor, reference: Tensor) -> Tensor:
    """Controls ``(control,)`` of an equaliser fitted to the difference of average spectra.

    Gauss-Newton on the gains of the bands at their default frequencies, slightly damped.

    Args:
        model: Whose chain is set.
        audio: ``(clip, 131072)`` mono at 24 kHz.
        reference: The same.
    """
    grid = responses.curve_hz()
    wanted = _spectrum_db(reference, grid) - _spectrum_db(audio, grid)
    wanted = (wanted - wanted.mean()).clamp(-15.0, 15.0)
    gains = [p.name for p in model.chain["eq"].params if p.name.endswith("_gain_db")]
    settings = model.chain["eq"].defaults(len(gains) + 1)
    found = torch.zeros(len(gains))
    steps = torch.cat([torch.zeros(1, len(gains)), torch.eye(len(gains))])  # each band by 1 dB
    for _ in range(_FIT_ROUNDS):
        settings |= dict(zip(gains, (found + steps).unbind(1), strict=True))
        curves = responses.eq_curve_db(settings, SAMPLE_RATE)
        curves = curves - curves.mean(1, keepdim=True)
        slopes = (curves[1:] - curves[0]).mT
        damping = _FIT_DAMPING * torch.eye(len(gains))
        target = slopes.mT @ (wanted - curves[0]) - _FIT_DAMPING * found
        found = (found + torch.linalg.solve(slopes.mT @ slopes + damping, target)).clamp(
            -15.0, 15.0
        )
    fitted = {name: setting[:1] for name, setting in settings.items()}
    fitted |= dict(zip(gains, found.unsqueeze(1), strict=True))
    whole = {effect.name: effect.defaults(1) for effect in model.chain.effects}
    return model.chain.to_controls(whole | {"eq": fitted}).squeeze(0)


def _spectrum_db(clips: Tensor, grid_hz: Tensor) -> Tensor:
    """Average spectrum in dB around the frequencies `grid_hz`, a third of an octave wide."""
    power = spectral.power_spectrogram(clips, 4096, 2048).mean(dim=(0, 1))
    frequency = torch.linspace(0.0, SAMPLE_RATE / 2, len(power))
    distance = torch.log2((frequency + 1.0) / grid_hz.unsqueeze(1)) * 6.0
    weights = torch.exp(-0.5 * distance.square())
    return 10.0 * torch.log10((weights * power).sum(1) / weights.sum(1) + 1e-12)


def with_measured(
    model: AFXStyleVAE, estimate: Estimate, measured: dict[str, Measured]
) -> tuple[Tensor, Tensor]:
    """Controls and logits of an estimate (batch 1), with what was measured in place of its own.

    An echo that is not found is not there. Other reverbs and choruses than this package's may be
    there without being found; for those the estimate keeps its say.
    """
    controls, logits = estimate.controls[0].cpu().clone(), estimate.logits[0].cpu().clone()
    for effect, setting in measured.items():
        if setting.found or effect == "delay":
            controls[model.chain.knobs_of(effect)] = setting.controls
            logits[ESTIMATED.index(effect)] = _CERTAIN if setting.found else -_CERTAIN
    return controls, logits


def _from_estimate(
    model: AFXStyleVAE, name: str, estimate: tuple[Tensor, Tensor], on_above: Mapping[str, float]
) -> Candidate:
    controls, logits = estimate
    switches = torch.zeros(len(model.chain.effects), dtype=torch.bool)
    least = torch.tensor([on_above.get(effect, 0.5) for effect in ESTIMATED])
    likely = torch.sigmoid(logits)
    if float((1.0 - likely).prod()) < _NOTHING:
        switches[estimated_columns(model.chain)] = likely > least
    return Candidate(name, controls, switches)


def propose(
    model: AFXStyleVAE,
    inferred: Inference,
    embedded: Tensor,
    plain: Tensor,
    measured: dict[str, Measured],
    generator: torch.Generator,
    effort: str = "normal",
) -> list[Candidate]:
    """Candidates, "nothing" first, without repetitions.

    Args:
        model: The model.
        inferred: From this input and reference.
        embedded: Style embedding of the input ``(1, embedding)``.
        plain: Clips of the input ``(clip, 131072)``.
        measured: What `measure_settings` found; empty to leave everything to the posterior.
        generator: For samples of the posterior.
        effort: ``"fast"`` proposes the posterior mean alone, ``"normal"`` everything, unless it is
            not improbable that nothing was done.
    """
    defaults = model.chain.default_controls()
    off = torch.zeros(len(model.chain.effects), dtype=torch.bool)
    found = [Candidate("nothing", defaults, off)]
    posterior = inferred.posterior
    sure = {effect: effect in measured and measured[effect].found for effect in MEASURED}
    on_above = {e: _SOUGHT if e in measured else _UNSOUGHT for e in _COPIES} | _ON_ABOVE

    def refined(latent: Tensor) -> Estimate:
        alike = (inferred.likeness, inferred.fitted, inferred.same_source)
        return model.refine(latent, embedded, *alike)

    estimate = refined(posterior.mean)
    controls, logits = with_measured(model, estimate, measured)
    likely = torch.sigmoid(logits)
    certain = torch.tensor([float(sure[effect]) for effect in MEASURED])
    evidence = torch.cat([torch.sigmoid(estimate.logits[0].cpu()), certain])
    mean = _from_estimate(model, "posterior mean", (controls, logits), on_above)
    found.append(replace(mean, likely=True))
    if effort == "fast" or not bool(mean.switches.any()):
        return _distinct(model, found, evidence)
    columns = dict(zip(ESTIMATED, estimated_columns(model.chain), strict=True))
    for effect, column in columns.items():
        logit = float(logits[ESTIMATED.index(effect)])
        if abs(logit) < _DOUBTFUL or (logit > 0.0 and not mean.switches[column]):
            toggled = mean.switches.clone()
            toggled[column] = ~toggled[column]
            if float((1.0 - likely * toggled[list(columns.values())]).prod()) < _NOTHING:
                found.append(Candidate(f"posterior mean, {effect} toggled", controls, toggled))
    only = {name: off.clone() for name in ("eq", "measured")}
    only["eq"][columns["eq"]] = True
    for effect in MEASURED:
        only["measured"][columns[effect]] = sure[effect]
    if bool(mean.switches[columns["eq"]]):
        found.append(Candidate("posterior mean, eq only", controls, only["eq"]))
    if bool(only["measured"].any()):
        found.append(Candidate("measured effects only", controls, only["measured"]))
    amounts = torch.tensor(
        [param.amount and not sure.get(effect, False) for effect, param in model.chain.knobs]
    )
    less = torch.where(amounts, defaults + _SHRUNK * (controls - defaults), controls)
    found.append(Candidate("posterior mean, shrunk", less, mean.switches))
    for index in range(_SAMPLES):
        latent = posterior.sample(generator, least=_LEAST_SPREAD)
        drawn = with_measured(model, refined(latent), measured)
        found.append(_from_estimate(model, f"posterior sample {index + 1}", drawn, on_above))
    fitted = fit_eq(model, plain.cpu(), inferred.bare.cpu())
    found.append(Candidate("spectrum only", fitted, only["eq"]))
    return [
        replace(one, sure=torch.equal(one.switches, only["measured"]) and _feignless(sure))
        for one in _distinct(model, found, evidence)
    ]


def _feignless(measured: Mapping[str, bool]) -> bool:
    """Whether something was measured, and all of it leaves traces that content does not."""
    return any(measured.values()) and not measured["delay"]


def _distinct(model: AFXStyleVAE, candidates: list[Candidate], evidence: Tensor) -> list[Candidate]:
    """Those that sound different, with the evidence: knobs of what is off do not count."""
    kept: dict[tuple[float, ...], Candidate] = {}
    for candidate in candidates:
        known = replace(candidate, evidence=evidence)
        kept.setdefault(tuple(knob_vector(known, model).tolist()), known)
    return list(kept.values())


def knob_vector(candidate: Candidate, model: AFXStyleVAE) -> Tensor:
    """What the critic sees besides embeddings: controls of what is on, switches, evidence."""
    by_effect = dict(zip(model.chain.names, candidate.switches.tolist(), strict=True))
    on = torch.tensor([by_effect[name] for name, _ in model.chain.knobs])
    return torch.cat([candidate.controls * on, candidate.switches.float(), candidate.evidence])


def weigh(
    model: AFXStyleVAE,
    audio: Tensor,
    embeddings: tuple[Tensor, Tensor],
    candidates: list[Candidate],
) -> list[Candidate]:
    """Render every candidate on one clip and let the critic judge it.

    Args:
        model: The model.
        audio: ``(1, 1, run-in + 131072)`` at 24 kHz and the analysis loudness.
        embeddings: Of input and reference, each ``(1, embedding)``.
        candidates: "nothing" first.
    """
    embedded, wanted = embeddings
    done = candidates[1:]
    if not done:
        return candidates
    found = model.embed_clips(render_candidates(model, audio, done))
    mean, log_scale = judge(model, embedded, wanted, found, done)
    return [candidates[0], *with_opinions(done, mean, log_scale)]


def render_candidates(model: AFXStyleVAE, audio: Tensor, candidates: list[Candidate]) -> Tensor:
    """Each candidate on one clip ``(1, 1, run-in + 131072)``: ``(candidate, 131072)``."""
    controls = torch.stack([candidate.controls for candidate in candidates])
    switches = torch.stack([candidate.switches for candidate in candidates])
    batch = audio.expand(len(candidates), -1, -1)
    out = model.render(batch, controls.to(audio.device), switches.to(audio.device))
    return out[:, 0, -CLIP_SAMPLES:]


def judge(
    model: AFXStyleVAE, embedded: Tensor, wanted: Tensor, found: Tensor, done: list[Candidate]
) -> tuple[Tensor, Tensor]:
    """The critic's mean and log scale for rendered candidates with embeddings `found`."""
    knobs = torch.stack([knob_vector(candidate, model) for candidate in done]).to(found)
    embedded, wanted = (e.expand(len(found), -1) for e in (embedded, wanted))
    mean, log_scale = model.critic(model.differences(embedded, wanted, found), knobs)
    return mean, log_scale


def with_opinions(candidates: list[Candidate], mean: Tensor, log_scale: Tensor) -> list[Candidate]:
    """The same candidates with what `judge` returned for them."""
    return [
        replace(candidate, advantage=float(m), spread=float(s.exp()))
        for candidate, m, s in zip(candidates, mean, log_scale, strict=True)
    ]


def choose(candidates: list[Candidate], margin: float) -> int:
    """Index of the chosen candidate, 0 for "nothing".

    The posterior mean stands, as it is only proposed where something was almost certainly done,
    unless the critic expects it to do harm. The best of many looks better than it is, so another
    candidate must be clearly better, and its advantage must exceed `margin` times the critic's
    doubt about it; so must any where the mean does not stand. If none does, what was measured and
    is sure stands.
    """
    passing = [
        place
        for place, candidate in enumerate(candidates)
        if place > 0 and candidate.advantage > margin * candidate.spread
    ]
    best = max(passing, key=lambda place: candidates[place].advantage, default=0)
    mean = next((place for place, one in enumerate(candidates) if one.likely), 0)
    if mean and candidates[mean].advantage > 0.0:
        first, other = candidates[mean], candidates[best]
        clearly = _CLEARLY * 0.5 * (first.spread + other.spread)
        return best if best and other.advantage - first.advantage >= clearly else mean
    if not passing:
        return next((place for place, one in enumerate(candidates) if one.sure), 0)
    return best
