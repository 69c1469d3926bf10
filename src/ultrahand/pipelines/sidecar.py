"""What the sidecar of an image says: BIDS names where BIDS has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ultrahand.physics.identify import measured_frequency_hz
from ultrahand.pipelines.options import Combine, Method
from ultrahand.pipelines.timing import IN_TIME, FrameTimes
from ultrahand.units import HZ_PER_MHZ

if TYPE_CHECKING:
    from ultrahand.pipelines.encoding import EncodingPlan
    from ultrahand.pipelines.plan import ReconPlan
    from ultrahand.recon.sorting import Series
    from ultrahand.records.header import Header
    from ultrahand.records.image import Image
    from ultrahand.records.provenance import Provenance


def sidecar_fields(
    header: Header,
    plan: ReconPlan,
    series: Series,
    image: Image,
    times: FrameTimes | None,
    provenance: Provenance,
) -> dict[str, object]:
    """Return the fields of one image's JSON; seconds and degrees as in BIDS.

    Parameters
    ----------
    header, plan, series
        What was measured and how it was sorted.
    image
        Any volume of the series.
    times
        Frame times, where they are known.
    provenance
        How the image was made.
    """
    encoding = plan.encodings[series.volumes[0].encoding]
    geometry = image.geometry
    many = series.frame_axis in IN_TIME
    frequency = measured_frequency_hz(header, plan.nucleus)
    return {
        "Manufacturer": header.vendor,
        "ManufacturersModelName": header.model,
        "MagneticFieldStrength": header.field_strength_t,
        "ResonantNucleus": plan.nucleus or "unknown",
        "ImagingFrequency": frequency / HZ_PER_MHZ if frequency else None,
        "RepetitionTime": _one(header.repetition_times_s),
        "EchoTime": _echo_times(header, series),
        "InversionTime": _one(header.inversion_times_s),
        "FlipAngle": _one(header.flip_angles_deg),
        "NumberOfVolumes": len(series.volumes),
        "FourthDimension": series.frame_axis,
        "AcquisitionDuration": times.total_s if times else None,
        "FrameTimesStart": list(times.start_s) if times and many else None,
        "FrameDuration": list(times.duration_s) if times and many else None,
        "FrameTimesMean": list(times.middle_s) if times and many else None,
        "Units": image.unit,
        "Geometry": "known" if geometry.known else "unknown",
        "PatientPosition": header.patient_position,
        "VoxelSize_mm": [round(v * 1e3, 9) for v in geometry.voxel_size_m],
        "ReadDirection_LPS": geometry.read_dir.tolist(),
        "PhaseDirection_LPS": geometry.phase_dir.tolist(),
        "SliceDirection_LPS": geometry.slice_dir.tolist(),
        "ReconstructionMethod": str(encoding.method),
        "ReconstructionMethodReason": encoding.reason,
        "ReconstructionEngine": str(plan.options.engine),
        **(plan.dynamic.sidecar(series) if plan.dynamic else {}),
        "CoilCombination": combination_of(plan, encoding),
        "NumberOfReceiveChannels": encoding.n_coils,
        "StandardError": image.standard_error_note,
        "Provenance": provenance.as_dict(),
    }


def combination_of(plan: ReconPlan, encoding: EncodingPlan) -> str:
    """Return how coil images of an encoding become one."""
    by_maps = encoding.method is Method.GRAPPA and plan.options.combine is not Combine.WALSH
    always = encoding.method in (Method.SENSE, Method.CG, Method.CS, Method.DYNAMIC)
    if always or (by_maps and plan.combine is Combine.WALSH):
        return "espirit"
    return str(plan.combine)


def _echo_times(header: Header, series: Series) -> float | list[float | None] | None:
    """Return the echo time of each volume; one number where it is the same for all."""
    echoes = header.echo_times_s
    found = [
        round(echoes[c], 9) if c < len(echoes) else None
        for c in (volume.counters["contrast"] for volume in series.volumes)
    ]
    if not echoes:
        return None
    return found[0] if len(set(found)) == 1 else list(found)


def _one(values: tuple[float, ...]) -> float | list[float] | None:
    """One number where all are the same, all of them where they differ."""
    rounded = [round(value, 9) for value in values]
    if not rounded:
        return None
    return rounded[0] if len(set(rounded)) == 1 else rounded
