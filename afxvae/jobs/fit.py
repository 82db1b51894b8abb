"""Fit a preset to two files: a recording, dry and processed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .. import audio
from ..files import kept_unless_done
from .apply import apply_file
from .parts import Progress, check_outputs

if TYPE_CHECKING:
    from ..fitting import Fit
    from ..models.style_vae import AFXStyleVAE

__all__ = ["Fitted", "fit_files"]

_STEPS = 100  # of the progress


@dataclass(frozen=True)
class Fitted:
    """A fit that was written: what was found, where it is, and by which model."""

    fit: Fit
    preset: Path
    render: Path | None
    plot: Path | None
    notes: list[str] = field(default_factory=list)


def fit_files(
    dry_path: Path,
    wet_path: Path,
    *,
    preset: Path | None = None,
    render: Path | None = None,
    plot: Path | None = None,
    model: Callable[[], AFXStyleVAE],
    seconds: float,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Find the preset that makes one file of another; write it, and what it gives if wanted.

    Args:
        dry_path: The recording.
        wet_path: The same recording after unknown processing.
        preset: Where the preset goes, `<stem>.afx.json` beside the dry recording if not given.
        render: Where the dry recording through the preset goes, if anywhere.
        plot: Where the spectra of the null test go, if anywhere.
        model: Called for the model once files and outputs are known to be usable.
        seconds: About how long it may take.
        seed: Of what is drawn at random.
        device: Where the result is rendered; see `load_model`.
        overwrite: Replace outputs that exist.
        progress: Called with the work done and all there may be.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    dry_info, wet_info = audio.info(dry_path), audio.info(wet_path)
    preset = preset or dry_path.with_name(f"{dry_path.stem}.afx.json")
    outputs = {"preset": preset, "output": render, "plot": plot}
    sources = {"dry recording": dry_path, "wet recording": wet_path}
    check_outputs({what: path for what, path in outputs.items() if path}, sources, overwrite)
    if plot:
        from ..figures import PLOT_FORMATS, check_picture

        check_picture(plot, PLOT_FORMATS)
    from ..fitting import LONGEST_S, fit

    def read(path: Path, rate: int) -> Tensor:
        sound = audio.read_segment(path, 0, round(LONGEST_S * rate) + 1)
        audio.check_usable(sound, rate, str(path))
        return sound

    dry, wet = read(dry_path, dry_info.sample_rate), read(wet_path, wet_info.sample_rate)
    found = fit(
        dry,
        wet,
        sample_rate=dry_info.sample_rate,
        wet_rate=wet_info.sample_rate,
        model=model(),
        seconds=seconds,
        seed=seed,
        names=(str(dry_path), str(wet_path)),
        tell=lambda share: progress(round(_STEPS * share), _STEPS) if progress else None,
    )
    notes = list(found.notes)
    with ExitStack() as stack:
        for path in (preset, plot):
            if path:
                stack.enter_context(kept_unless_done(path))
        found.preset.save(preset, overwrite)
        if plot:
            from ..figures import plot_null_test

            plot_null_test(found, dry, dry_info.sample_rate, plot)
        if render:
            applied = apply_file(
                preset, dry_path, output=render, device=device, overwrite=overwrite
            )
            notes += applied.notes
    return Fitted(found, preset, render, plot, notes)
