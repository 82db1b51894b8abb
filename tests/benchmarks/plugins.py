"""A host for LV2 plug-ins with audio and control ports, from array to array.

Enough for the mda plug-ins (Debian's mda-lv2), which the first project of this kind was built on.
The interface is that of lv2.h (lv2plug.in/ns/lv2core); ports and ranges are read from the bundle's
Turtle files.
"""

from __future__ import annotations

import ctypes
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDERS = (Path("/usr/lib/lv2"), Path("/usr/local/lib/lv2"))
_BLOCK = 4096
_POINTER = ctypes.c_void_p
_NAMED_VALUES = re.compile(r"lv2:scalePoint\s*\[[^\[\]]*\](\s*,\s*\[\s*rdfs:label[^\[\]]*\])*\s*;?")


class _Descriptor(ctypes.Structure):
    _fields_ = (
        ("uri", ctypes.c_char_p),
        ("instantiate", ctypes.CFUNCTYPE(_POINTER, _POINTER, ctypes.c_double, ctypes.c_char_p,
                                         _POINTER)),
        ("connect_port", ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_uint32, _POINTER)),
        ("activate", ctypes.CFUNCTYPE(None, _POINTER)),
        ("run", ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_uint32)),
        ("deactivate", ctypes.CFUNCTYPE(None, _POINTER)),
        ("cleanup", ctypes.CFUNCTYPE(None, _POINTER)),
        ("extension_data", _POINTER),
    )  # fmt: skip


@dataclass(frozen=True)
class Port:
    """One port; controls have a range."""

    index: int
    symbol: str
    name: str
    audio: bool
    output: bool
    default: float = 0.0
    minimum: float = 0.0
    maximum: float = 1.0


@functools.cache
def ports(bundle: str, plugin: str) -> tuple[Port, ...]:
    """Of ``<bundle>.lv2/<plugin>.ttl``, by index."""
    found = []
    text = _file(bundle, f"{plugin}.ttl").read_text(encoding="utf-8")
    text = _NAMED_VALUES.sub("", text)
    for block in re.findall(r"\[[^\[\]]*lv2:index[^\[\]]*\]", text):
        values = dict(re.findall(r"lv2:(index|default|minimum|maximum)\s+(-?[\d.]+)", block))
        words = dict(re.findall(r'lv2:(symbol|name)\s+"([^"]*)"', block))
        numbers = {key: float(value) for key, value in values.items() if key != "index"}
        found.append(Port(int(values["index"]), words["symbol"], words["name"],
                          "AudioPort" in block, "OutputPort" in block, **numbers))  # fmt: skip
    return tuple(sorted(found, key=lambda port: port.index))


def run(
    bundle: str, plugin: str, audio: np.ndarray, sample_rate: int, controls: dict[str, float]
) -> np.ndarray:
    """Mono ``(time,)`` through a new instance, on all its inputs; the mean of its outputs."""
    descriptor = _descriptor(bundle, plugin)
    folder = str(_file(bundle, "manifest.ttl").parent) + "/"
    no_features = (_POINTER * 1)(None)
    handle = descriptor.instantiate(
        ctypes.byref(descriptor), float(sample_rate), folder.encode(), no_features
    )
    if not handle:
        raise RuntimeError(f"{plugin} cannot be started")
    length = -(-len(audio) // _BLOCK) * _BLOCK
    padded = np.zeros(length, np.float32)
    padded[: len(audio)] = audio
    source, outputs, kept = np.zeros(_BLOCK, np.float32), [], []
    for port in ports(bundle, plugin):
        if port.audio:
            buffer = np.zeros(_BLOCK, np.float32) if port.output else source
            outputs += [buffer] if port.output else []
        else:
            buffer = np.array([controls.get(port.symbol, port.default)], np.float32)
        kept.append(buffer)
        descriptor.connect_port(handle, port.index, buffer.ctypes.data)
    done = np.empty(length, np.float32)
    if descriptor.activate:
        descriptor.activate(handle)
    for start in range(0, length, _BLOCK):
        source[:] = padded[start : start + _BLOCK]
        descriptor.run(handle, _BLOCK)
        done[start : start + _BLOCK] = np.mean(outputs, axis=0)
    if descriptor.deactivate:
        descriptor.deactivate(handle)
    descriptor.cleanup(handle)
    return done[: len(audio)]


def _file(bundle: str, name: str) -> Path:
    for folder in FOLDERS:
        if (path := folder / f"{bundle}.lv2" / name).exists():
            return path
    raise FileNotFoundError(f"there is no {bundle}.lv2/{name}: apt-get install {bundle}-lv2")


@functools.cache
def _descriptor(bundle: str, plugin: str) -> _Descriptor:
    libraries = sorted(_file(bundle, "manifest.ttl").parent.glob("*.so"))
    for path in libraries:
        library = ctypes.CDLL(str(path))
        library.lv2_descriptor.restype = ctypes.POINTER(_Descriptor)
        for index in range(200):
            found = library.lv2_descriptor(ctypes.c_uint32(index))
            if not found:
                break
            if found.contents.uri.decode().rsplit("/", 1)[-1] == plugin:
                found.contents.library = library
                return found.contents
    raise FileNotFoundError(f"{bundle}.lv2 has no plug-in {plugin}")
