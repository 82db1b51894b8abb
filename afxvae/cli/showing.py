"""Commands that show what there is: effects and models."""

from __future__ import annotations

from .. import options as opt
from .app import app
from .output import print_json, show

__all__ = ["effects", "models"]


@app.command()
def effects(names: opt.Names = None, as_json: opt.AsJson = False) -> None:
    """List the effects; of those that are named, show every knob and how it is computed."""
    from .. import tables
    from ..effects import EFFECTS, Chain

    chain = Chain(EFFECTS)
    wanted = names or chain.names
    chain.check_names(wanted)
    if as_json:
        print_json({"effects": [row for row in chain.to_dict() if row["name"] in wanted]})
    else:
        shown = tables.effect_pages if names else tables.effects_table
        show(shown(chain[name] for name in wanted))


@app.command()
def models(names: opt.ModelNames = None, as_json: opt.AsJson = False) -> None:
    """Show the weights at hand, and say where others come from."""
    from .. import hub, tables

    found = [hub.model_info(name) for name in (names or (None,))]
    if as_json:
        print_json({"models": [tables.model_document(model) for model in found]})
    else:
        show(tables.models_table(found, hub.BUNDLED_FOLDER))
        print(
            "Others: --model FOLDER, as afxvae train writes it, or --model OWNER/NAME for one on "
            "the Hugging Face Hub, fetched once."
        )
