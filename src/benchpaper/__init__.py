"""benchpaper: a measurement paper as something you can run.

These names are the public face, for experiments, claims, and notebooks; everything else is private.
They load on first use, so that commands start fast.
"""

import importlib
from typing import Any

_HOMES = {
    "Block": "design.replication",
    "CAPABILITIES": "hosts.probe",
    "capability": "hosts.probe",
    "Cell": "design.declarations",
    "claim": "analysis.claims",
    "CommandFailed": "hosts",
    "Conda": "design.environments",
    "Container": "design.environments",
    "Estimate": "analysis.estimates",
    "Evidence": "design.declarations",
    "Exhibits": "analysis.exhibits",
    "Experiment": "design.spec",
    "Factor": "design.declarations",
    "gap": "analysis.estimates",
    "Host": "hosts",
    "HostError": "hosts",
    "Input": "design.inputs",
    "load": "analysis.sites",
    "LocalHost": "hosts.local",
    "Metric": "design.declarations",
    "Module": "design.environments",
    "prediction": "analysis.prediction",
    "probe": "hosts.probe",
    "Process": "hosts",
    "quality": "analysis.quality",
    "Scale": "design.declarations",
    "stats": "analysis.stats",
    "style": "analysis.style",
    "Summary": "analysis.summary",
    "UserError": "core.errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name, which is a module or an attribute of one."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return home if _HOMES[name].endswith(f".{name}") else getattr(home, name)


def __dir__() -> list[str]:
    return __all__
