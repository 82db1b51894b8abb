"""What a manual says about an effect: how it is computed, told by the functions that compute it."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .effects import Effect

__all__ = ["Passage", "computation", "latency"]

_DSP = f"{__package__}.dsp."
_UNITS = f"{_DSP}units"  # conversions explain nothing
_SECTION = re.compile(r"\n\s*(?:Args|Returns|Raises):")

Subject: TypeAlias = "FunctionType | ModuleType"
"""What has a docstring."""


@dataclass(frozen=True)
class Passage:
    """A piece of text about one function or module.

    Attributes:
        subject: Its name, such as ``dsp.filters.peak``.
        paragraphs: Markdown; formulas that stand alone are indented by four spaces.
    """

    subject: str
    paragraphs: tuple[str, ...]


def latency(effect: Effect) -> str:
    """How late an effect is in a stream at 48 kHz, in a sentence."""
    late = effect.latency(48_000)
    if not late:
        return "It has no latency."
    return f"Late by {late} samples ({late / 48:.1f} ms) in a stream at 48 kHz; by none in files."


def computation(effect: Effect) -> list[Passage]:
    """How an effect is computed, and after whom.

    What stands in the docstrings of the DSP functions that its `run` calls and of those that these
    name in single backticks, without arguments; then in the docstrings of their modules, where
    these say more than a title.
    """
    subjects: list[Subject] = list(dict.fromkeys(_called(effect.run)))
    for subject in subjects:  # grows on the way
        subjects += [named for named in _named(subject) if named not in subjects]
    functions = [s for s in subjects if isinstance(s, FunctionType) and s.__module__ != _UNITS]
    modules = [s for s in subjects if isinstance(s, ModuleType)]
    passages = [_passage(f"{f.__module__}.{f.__name__}", f) for f in functions]
    for module in dict.fromkeys([*modules, *(sys.modules[f.__module__] for f in functions)]):
        passage = _passage(module.__name__, module)
        if module in modules or len(passage.paragraphs) > 1:
            passages.append(passage)
    return [passage for passage in passages if passage.paragraphs]


def _called(run: Callable[..., Any]) -> Iterator[FunctionType]:
    """DSP functions that `run` calls itself or is made of, then those of its helpers."""
    function = inspect.unwrap(run)
    names = _global_names(function.__code__)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    helpers = []
    for value in [*cells, *(function.__globals__.get(name) for name in names)]:
        if isinstance(value, ModuleType) and value.__name__.startswith(_DSP):
            members = (inspect.unwrap(vars(value)[name]) for name in names if name in vars(value))
            yield from (member for member in members if isinstance(member, FunctionType))
        elif isinstance(value, FunctionType) and value.__module__.startswith(_DSP):
            yield value
        elif isinstance(value, FunctionType) and value.__module__ == function.__module__:
            helpers.append(value)
    for helper in helpers:
        yield from _called(helper)


def _global_names(code: CodeType) -> list[str]:
    """Names of globals and attributes in a function and in those that it defines."""
    inner = [name for c in code.co_consts if inspect.iscode(c) for name in _global_names(c)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _named(subject: Subject) -> Iterator[Subject]:
    """Whom a docstring names: `function`, `afxvae.dsp.module.function`, `afxvae.dsp.module`."""
    space = vars(subject) if isinstance(subject, ModuleType) else subject.__globals__
    for path in re.findall(r"(?<!`)`([\w.]+)`(?!`)", inspect.getdoc(subject) or ""):
        module, _, name = path.rpartition(".")
        value = (vars(sys.modules[module]) if module in sys.modules else space).get(name)
        value = inspect.unwrap(value) if callable(value) else value
        home = value.__module__ if isinstance(value, FunctionType) else path
        if home.startswith(_DSP) and isinstance(value, (FunctionType, ModuleType)):
            yield value


def _passage(name: str, subject: object) -> Passage:
    text = _SECTION.split(inspect.getdoc(subject) or "")[0]
    text = text.replace("::\n", ":\n").replace("``", "`").strip()
    paragraphs = (
        part.rstrip() if part.startswith("    ") else " ".join(part.split())
        for part in re.split(r"\n\s*\n", text)
        if part
    )
    return Passage(name.removeprefix(f"{__package__}."), tuple(paragraphs))
