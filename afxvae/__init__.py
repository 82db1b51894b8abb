"""Make one recording sound as if it had gone through the production of another.

The answer is a `Preset`: an effect chain with knobs in dB, Hz and ms that a person can read,
change and take elsewhere. The two recordings share no content; the reference lends its style.

The way of the data, which `AFXStyleVAE` follows method by method::

    audio, reference --> embed --> encode --> refine --> render --> output audio
                           |         |          |          |
                        style      latent    switches    Chain: eq, compressor, overdrive,
                      embeddings   z: what   and         chorus, delay, reverb, width, gain
                                   was done  controls

The rooms, from the front door to the foundation. Each imports only from those below it:

- `cli`: the command line, and the only module that prints.
- `console`, `tables`, `options`, `jobs`, `embeddings`: what commands show, take and do with files.
- `figures`, `hub`: pictures; the card of a model, and what can be told about weights without
  loading them.
- `training`, `evaluation`, `matching`, `decision`, `proposals`, `candidates`, `finishing`: fit a
  model, judge it, and use it: treatments that might be right, the critic that chooses among them,
  width and gain that are measured, the report.
- `interpolation`: presets between two presets.
- `fitting`: from a dry and a processed recording to the preset that lies between them.
- `models`, `data`: encoder, VAE and `AFXStyleVAE`; corpus, random treatments, pairs.
- `styles`, `recordings`: what a match needs of a reference, as a file too; files and arrays of any
  length, gone through in blocks.
- `presets`, `schema`, `wishes`, `analysis`, `measure`, `regularizers`: effects with their
  settings, as JSON and as streams; what may be asked for in a match; from recordings to the clips
  that a model hears; settings that signal processing reads off them; what shapes the latent space.
- `effects`: `Effect` and `Chain`, one file for each family.
- `audio`, `containers`, `loudness`, `dsp`: audio files and resampling; BS.1770; pure functions on
  tensors.
- `params`, `ranges`, `files`, `processes`, `types`: `Param`, one knob declared once; what else may
  be asked for; writing files whole; work in processes of their own; shapes, errors.

Audio is float32 with full scale at +-1, `(channel, time)` here at the public doors and
`(batch, channel, time)` inside. Importing this package imports neither torch nor any room: each
public name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .effects import Chain, Effect, default_chain
    from .fitting import Fit
    from .matching import Match
    from .models.style_vae import AFXStyleVAE
    from .params import Param
    from .presets import Preset
    from .styles import Style

__version__ = "0.1.0"

__all__ = [
    "AFXStyleVAE",
    "Chain",
    "Effect",
    "Fit",
    "Match",
    "Param",
    "Preset",
    "Style",
    "__version__",
    "default_chain",
]

_HOMES = {
    "AFXStyleVAE": "afxvae.models.style_vae",
    "Chain": "afxvae.effects",
    "Effect": "afxvae.effects",
    "Fit": "afxvae.fitting",
    "Match": "afxvae.matching",
    "Param": "afxvae.params",
    "Preset": "afxvae.presets",
    "Style": "afxvae.styles",
    "default_chain": "afxvae.effects",
}

if not TYPE_CHECKING:  # type checkers take the imports above, and report names that are not there

    def __getattr__(name: str) -> object:
        """Load a public name from its room on first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
