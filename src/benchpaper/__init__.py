"""benchpaper: a measurement paper as something you can run.

These names are the public interface, for experiments, claims and notebooks; everything else is private.
They are loaded on first use, so that commands start fast.
"""

import importlib

_HOMES = {
    "CAPABILITIES": "hosts.probe",
    "capability": "hosts.probe",
    "Cell": "design.declarations",
    "claim": "analysis.claims",
    "CommandFailed": "hosts",
    "Estimate": "analysis.estimates",
    "Evidence": "design.declarations",
    "Exhibits": "analysis.exhibits",
    "Experiment": "design.spec",
    "Factor": "design.declarations",
    "gap": "analysis.estimates",
    "HostError": "hosts",
    "load": "analysis.estimates",
    "LocalHost": "hosts.local",
    "Metric": "design.declarations",
    "probe": "hosts",
    "quality": "analysis",
    "Scale": "design.declarations",
    "stats": "analysis",
    "style": "analysis",
    "Summary": "analysis.estimates",
    "UserError": "core.errors",
}
_MODULES = {"probe", "quality", "stats", "style"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"{__name__}.{_HOMES[name]}"
    return importlib.import_module(f"{home}.{name}") if name in _MODULES else getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
