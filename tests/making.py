"""Reconstruct a measurement, as a file or in memory: what the pipeline tests share."""

from ultrahand.io.read_raw import read_raw
from ultrahand.io.write_ismrmrd import write_hdf5, write_stream
from ultrahand.pipelines import ReconOptions, Workspace, plan_reconstruction, reconstruct_volume


def as_file(raw, folder, *, stream=False):
    """Write a measurement and read it again, as a scanner's converter and a user would."""
    path = folder / ("raw.mrd" if stream else "raw.h5")
    (write_stream if stream else write_hdf5)(raw, path)
    return read_raw(path)


def planned(raw, **options):
    """Plan a reconstruction with some options."""
    extra = {k: options.pop(k) for k in ("noise", "trajectory", "b0") if k in options}
    return plan_reconstruction(raw, ReconOptions(**options), **extra)


def volumes(raw, **options):
    """Reconstruct everything; return a list of (series, volume, parts)."""
    plan = planned(raw, **options)
    workspace = Workspace()
    made = [
        (series, volume, reconstruct_volume(raw, plan, series, volume, workspace).parts)
        for series in plan.series
        for volume in series.volumes
    ]
    workspace.watch.check(raw)
    return made


def only_magnitude(raw, **options):
    """Reconstruct a measurement of one volume; return its magnitude image."""
    ((_, _, parts),) = volumes(raw, **options)
    return parts["mag"]
