"""What is proposed for one input and reference: estimates, measurements, parts of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .candidates import Candidate, distinct, nothing
from .dsp import spectral
from .dsp.features import SAMPLE_RATE
from .effects import responses
from .measure import MEASURED
from .models.estimate import ESTIMATED, estimated_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from .measure import Measured
    from .models.estimate import Estimate
    from .models.pair import Pair
    from .models.style_vae import AFXStyleVAE
    from .models.vae import Posterior

__all__ = ["Inference", "fit_eq", "propose", "with_measured"]

_ON_ABOVE = {"eq": (0.85, 0.77), "compressor": (0.8, 0.6), "overdrive": (0.75, 0.5)}
"""Probabilities above which an effect is on, else even odds, if the reference is of another voice
or instrument, and if it is of the same; at these switching it on pays on validation recordings."""
_APPLIED = {"compressor": 0.75, "reverb": 0.75}
"""Shares of estimated amounts that are applied: a compressor that is too strong, or acts at the
wrong moments, costs more than one that is too weak, and so does another room than the right one."""
_NOTHING = (0.05, 0.12)
"""Probability that no effect is on, from which on none is proposed, unless one was measured; if the
reference is of another source, and if it is of the same."""
_SURE_EQ = {0.5: 0.95, 0.9: 0.88}
"""Probabilities that two recordings are of one source, and those of an equaliser above which it was
then measured well: between other recordings of validation, 0.5 % of the curves are worse than none
(P1), and 0.8 % where the sources are two (P2)."""
_CERTAIN_COMPRESSOR = 0.93
"""Probability above which a compressor is almost certain, whatever the sources. Equalisers and
overdrives are not, however probable: a voice may sound equalised or driven by itself."""
_SAMPLES = {"normal": 2, "high": 6}
_LEAST_SPREAD = 0.25  # of the samples in each latent dimension
_SHRUNK = 0.6  # share of every amount that was not measured, which the shrunk candidate keeps
_KNOWN = 8.0  # log odds
_DOUBTFUL = 4.0  # log odds below which an effect is worth trying the other way
_SOUGHT = {"chorus": 0.999, "reverb": 0.9}
_UNSOUGHT = {"chorus": 0.9, "reverb": 0.9}
"""Least probabilities of these, if they were looked for in vain and if they were not. A voice that
is nearly right is further from the truth than none; a room is better than none."""
_FIT_ROUNDS = 4
_FIT_DAMPING = 1.0


@dataclass(frozen=True)
class Inference:
    """What was inferred from two recordings.

    Attributes:
        bare: Clips ``(clip, 131072)`` of the reference without what was measured and can be undone.
        posterior: Over the latent, batch 1.
        pair: What is known of input and reference besides; the reference as it was made out.
        same_source: Probability that both are of one voice or instrument, by all that is known.
    """

    bare: Tensor
    posterior: Posterior
    pair: Pair
    same_source: float


def fit_eq(model: AFXStyleVAE, audio: Tensor, reference: Tensor) -> Tensor:
    """Controls ``(control,)`` of an equaliser fitted to the difference of average spectra.

    Gauss-Newton on the gains of the bands at their default frequencies, slightly damped.
    `afxvae.measure.equalizer.fit_curve` moves all knobs and knows how sure each band is; average
    spectra of different content deserve no such trust, and the critic has learned to weigh these.

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
    there without being found; for those the estimate keeps its say. Of a compressor and of a room
    less than is estimated is applied.
    """
    chain, controls = model.chain, estimate.controls[0].cpu().clone()
    logits = estimate.logits[0].cpu().clone()
    for effect, share in _APPLIED.items():
        controls = chain.scaled(controls, share, but=set(chain.names) - {effect})
    for effect, setting in measured.items():
        if setting.found or effect == "delay":
            controls[chain.knobs_of(effect)] = setting.controls
            logits[ESTIMATED.index(effect)] = _KNOWN if setting.found else -_KNOWN
    return controls, logits


def _something(likely: Tensor, same_source: float) -> bool:
    """Whether it is improbable that no effect is on, by the probabilities ``(estimated,)``."""
    none = float((1.0 - likely).prod())
    return _eq_is_measured(likely, same_source) or none < _between(_NOTHING, same_source)


def _between(bounds: tuple[float, float], same_source: float) -> float:
    """What lies between the bound for two sources and that for one."""
    other, same = bounds
    return other + same_source * (same - other)


def _on_above(inferred: Inference) -> dict[str, float]:
    """Probabilities above which effects are on.

    An overdrive is among the reasons why two recordings are taken for one source, which is no
    reason to believe in it sooner: for it, the aligner has to say so too.
    """
    same = dict.fromkeys(_ON_ABOVE, inferred.same_source)
    same["overdrive"] = min(inferred.same_source, inferred.pair.verified)
    return {effect: _between(bounds, same[effect]) for effect, bounds in _ON_ABOVE.items()}


def _eq_is_measured(likely: Tensor, same_source: float) -> bool:
    """Whether there is an equaliser between two recordings of one source."""
    eq = float(likely[ESTIMATED.index("eq")])
    return any(same_source > same and eq > sure for same, sure in _SURE_EQ.items())


def _from_estimate(
    model: AFXStyleVAE,
    name: str,
    estimate: tuple[Tensor, Tensor],
    on_above: Mapping[str, float],
    same_source: float,
) -> Candidate:
    controls, logits = estimate
    switches = torch.zeros(len(model.chain.effects), dtype=torch.bool)
    least = torch.tensor([on_above.get(effect, 0.5) for effect in ESTIMATED])
    likely = torch.sigmoid(logits)
    if _something(likely, same_source):
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
    allowed: Tensor | None = None,
) -> list[Candidate]:
    """Candidates, "nothing" first, without repetitions.

    Args:
        model: The model.
        inferred: From this input and reference.
        embedded: Style embedding of the input ``(1, embedding)``.
        plain: Clips of the input ``(clip, 131072)``.
        measured: What `measure_settings` found; empty to leave everything to the posterior.
        generator: For samples of the posterior.
        effort: ``"fast"`` proposes the posterior mean and what was measured, the others everything,
            ``"high"`` more samples; unless it is not improbable that nothing was done.
        allowed: Effects that may be on, ``(effect,)`` boolean; all if omitted.
    """
    off = torch.zeros(len(model.chain.effects), dtype=torch.bool)
    allowed = ~off if allowed is None else allowed
    found = [nothing(model.chain)]
    posterior = inferred.posterior
    sure = {effect: effect in measured and measured[effect].found for effect in MEASURED}
    on_above = (_SOUGHT if measured else _UNSOUGHT) | _on_above(inferred)

    estimate = model.refine(posterior.mean, embedded, inferred.pair)
    controls, logits = with_measured(model, estimate, measured)
    likely = torch.sigmoid(logits)
    flags = torch.tensor([float(sure[effect]) for effect in MEASURED])
    evidence = torch.cat([torch.sigmoid(estimate.logits[0].cpu()), flags])
    columns = dict(zip(ESTIMATED, estimated_columns(model.chain), strict=True))

    def improbable(switches: Tensor) -> bool:
        """That none of these effects is on."""
        return _something(likely * switches[list(columns.values())], inferred.same_source)

    mean = _from_estimate(
        model, "posterior mean", (controls, logits), on_above, inferred.same_source
    )
    whole = not bool((mean.switches & ~allowed).any())
    found.append(replace(mean, likely=whole or improbable(mean.switches & allowed)))
    sure["eq"] = _eq_is_measured(likely, inferred.same_source)
    known = off.clone()
    known[[columns[effect] for effect, is_sure in sure.items() if is_sure]] = True
    certain = known.clone()
    compressed = float(likely[ESTIMATED.index("compressor")]) > _CERTAIN_COMPRESSOR
    certain[columns["compressor"]] |= compressed
    believed = {"measured effects only": known, "what is almost certain": certain}
    found += [Candidate(n, controls, which) for n, which in believed.items() if bool(which.any())]
    if effort == "fast" or not bool(mean.switches.any()):
        return _finished(model, found, allowed, evidence, (known, certain), measured)
    for effect, toggled in _in_doubt(columns, logits, mean.switches):
        if improbable(toggled):
            found.append(Candidate(f"posterior mean, {effect} toggled", controls, toggled))
    eq_only = off.clone()
    eq_only[columns["eq"]] = True
    if bool(mean.switches[columns["eq"]]):
        found.append(Candidate("posterior mean, eq only", controls, eq_only))
    less = model.chain.scaled(controls, _SHRUNK, but=[e for e in MEASURED if sure[e]])
    found.append(Candidate("posterior mean, shrunk", less, mean.switches))
    for index in range(_SAMPLES[effort]):
        latent = posterior.sample(generator, least=_LEAST_SPREAD)
        drawn = with_measured(model, model.refine(latent, embedded, inferred.pair), measured)
        found.append(
            _from_estimate(
                model, f"posterior sample {index + 1}", drawn, on_above, inferred.same_source
            )
        )
    fitted = fit_eq(model, plain.cpu(), inferred.bare.cpu())
    found.append(Candidate("spectrum only", fitted, eq_only))
    return _finished(model, found, allowed, evidence, (known, certain), measured)


def _in_doubt(
    columns: Mapping[str, int], logits: Tensor, switches: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Effects that may as well stand the other way, with the switches that say so."""
    for logit, (effect, column) in zip(logits.tolist(), columns.items(), strict=True):
        if abs(logit) < _DOUBTFUL or (logit > 0.0 and not switches[column]):
            toggled = switches.clone()
            toggled[column] = ~toggled[column]
            yield effect, toggled


def _finished(
    model: AFXStyleVAE,
    candidates: list[Candidate],
    allowed: Tensor,
    evidence: Tensor,
    believed: tuple[Tensor, Tensor],
    measured: Mapping[str, Measured],
) -> list[Candidate]:
    """Those that differ in what is allowed, with all that was measured, marked where they are sure.

    Sure is what was measured and nothing else, the first of `believed`; almost certain the second.
    """
    known, certain = (switches & allowed for switches in believed)
    makes = {name: one.make for name, one in measured.items() if one.found and one.make}
    cut = [
        replace(c, switches=c.switches & allowed, evidence=evidence, makes=makes)
        for c in candidates
    ]
    kept = distinct(model, cut)
    return [
        replace(c, sure=_are(c.switches, known), certain=_are(c.switches, certain)) for c in kept
    ]


def _are(switches: Tensor, known: Tensor) -> bool:
    return bool(known.any()) and torch.equal(switches, known)
