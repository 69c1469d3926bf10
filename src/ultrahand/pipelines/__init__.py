"""Pipelines compose the science: records in, records out; no file is opened here."""

from ultrahand.pipelines.assemble import VolumeImages
from ultrahand.pipelines.options import (
    Combine,
    Dynamic,
    Engine,
    Method,
    PartialFourier,
    Parts,
    ReconOptions,
    Sparsity,
)
from ultrahand.pipelines.plan import ReconPlan, plan_reconstruction
from ultrahand.pipelines.reconstruct import reconstruct_volume
from ultrahand.pipelines.workspace import Workspace

__all__ = [
    "Combine",
    "Dynamic",
    "Engine",
    "Method",
    "PartialFourier",
    "Parts",
    "ReconOptions",
    "ReconPlan",
    "Sparsity",
    "VolumeImages",
    "Workspace",
    "plan_reconstruction",
    "reconstruct_volume",
]
