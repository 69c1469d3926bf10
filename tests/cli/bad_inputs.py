"""The bad inputs, numbered as in the project's list of them: what each is, and how it must end.

A case builds a file (and what stands beside it) in an empty folder. It ends in a refusal, whose one
line must hold some words, or in success, with findings that must be reported.
"""

import io
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype

from damage import (
    DUMMY,
    REVERSE,
    XML,
    cartesian,
    message,
    radial,
    stream_bytes,
    text_type,
    write,
    write_stream,
)

OK, USAGE, REFUSED = 0, 2, 3


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[Path], object]
    code: int = OK
    says: tuple[str, ...] = ()
    """Words of the one line of a refusal."""
    finds: tuple[tuple[str, str], ...] = ()
    """Field and found value of findings that check and the sidecar must report."""
    options: tuple[str, ...] = ()
    file: str = "raw.h5"
    at_fault: str | None = None
    """Name of the file that the line must hold, where it is another one."""


def accepted(name, build, *finds, **more):
    return Case(name, build, OK, finds=finds, **more)


def refused(name, build, *says, **more):
    return Case(name, build, REFUSED, says=says, **more)


def usage(name, build, *says, **more):
    return Case(name, build, USAGE, says=says, **{"at_fault": ""} | more)


def nothing(_):
    pass


def scan(change=nothing, *, of=cartesian, **options):
    """Build a sound scan, changed."""

    def build(path):
        made = of()
        change(made)
        return write(path, made, **options)

    return build


def head(name, value, rows=slice(None), *, of=cartesian):
    """Change a field in the heads of some imaging readouts."""

    def change(made):
        made.heads[name][made.imaging[rows]] = value

    return scan(change, of=of)


def counter(name, values):
    def change(made):
        made.heads["idx"][name][made.imaging] = values

    return scan(change)


def xml(old, new, *, of=cartesian):
    """Change the header."""
    return scan(lambda made: made.replace(old, new), of=of)


def document(content):
    """Take another header altogether."""

    def change(made):
        made.xml = content

    return scan(change)


def hdf5(fill):
    """Build an HDF5 file by hand."""

    def build(path):
        with h5py.File(path, "w") as file:
            fill(file)

    return build


def afterwards(change, of=cartesian):
    """Build a sound file, then change it through h5py."""

    def build(path):
        write(path, of())
        with h5py.File(path, "r+") as file:
            change(file)

    return build


def patched(change):
    """Build a sound file, then change its bytes."""

    def build(path):
        write(path, cartesian())
        path.write_bytes(change(path.read_bytes()))

    return build


# --- 1 to 45: the file and its HDF5 ---------------------------------------------------------


def no_data(file):
    del file["dataset/data"]


def no_xml(file):
    del file["dataset/xml"]


def set_xml(**options):
    def change(file):
        del file["dataset/xml"]
        file["dataset"].create_dataset("xml", **options)

    return change


def set_data(**options):
    def change(file):
        del file["dataset/data"]
        file["dataset"].create_dataset("data", **options)

    return change


def two_groups(path):
    write(path, cartesian())
    write(path, cartesian(), group="dataset_2")


def row_of(length):
    def change(made):
        made.data[made.imaging[3]] = np.ones(length, np.float32)

    return scan(change)


def fewer_samples(made, count=12):
    for row in made.imaging[:4]:
        made.heads["number_of_samples"][row] = count
        made.heads["center_sample"][row] = count - 8
        made.data[row] = made.data[row].reshape(2, 16, 2)[:, 16 - count :].ravel()


def more_channels(made):
    row = made.imaging[5]
    made.heads["active_channels"][row] = 3
    made.data[row] = np.ones(2 * 3 * 16, np.float32)


def empty_dummies(made):
    rows = made.imaging[:1]
    made.heads["flags"][rows] = DUMMY
    made.heads["number_of_samples"][rows] = 0
    made.data[rows[0]] = np.zeros(0, np.float32)


def without_positions(made):
    made.heads["trajectory_dimensions"] = 0
    made.traj = [np.zeros(0, np.float32)] * len(made.heads)


def seven_dims(made):
    made.heads["trajectory_dimensions"][made.imaging] = 7
    for row in made.imaging:
        made.traj[row] = np.ones(7 * 16, np.float32)


def position(value):
    def change(made):
        made.traj[made.imaging[2]][5] = value

    return scan(change, of=radial)


def no_positions_but_zero(made):
    for row in made.imaging:
        made.traj[row] = np.zeros(32, np.float32)


def sample(value, rows):
    def change(made):
        for row in made.imaging[rows]:
            made.data[row][7] = value

    return scan(change)


def silent_coil(made):
    for row in made.imaging:
        made.data[row].reshape(2, -1)[1] = 0


def silence(made):
    for row in made.imaging:
        made.data[row] = np.zeros_like(made.data[row])


def deflate_bomb(file):
    """A gigabyte of rows, each chunk of 63 MB packed to 70 kB."""
    rows = cartesian().rows()
    del file["dataset/data"]
    per_chunk = 170_000
    stored = file["dataset"].create_dataset(
        "data", (16 * per_chunk,), acquisition_dtype, chunks=(per_chunk,), compression="gzip"
    )
    for first in range(0, len(stored), per_chunk):
        stored[first] = rows[0]


def only_imaging(made):
    made.heads = made.heads[made.imaging]
    made.data, made.traj = made.data[8:], made.traj[8:]


def unknown_filter(file):
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1,))
    creation.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    space = h5py.h5s.create_simple((1,))
    kind = h5py.h5t.py_create(text_type("a"), logical=True)
    del file["dataset/xml"]
    h5py.h5d.create(file["dataset"].id, b"xml", kind, space, creation)


def other_rank(content):
    """Turn a chunk of rank 1 into one of rank 2, in the bytes of the layout message."""
    layout = content.index(struct.pack("<BBB", 3, 2, 2), content.index(b"TREE"))
    return content[: layout + 2] + b"\x03" + content[layout + 3 :]


def external_data(path):
    write(path, cartesian())
    elsewhere = path.parent / "elsewhere.bin"
    elsewhere.write_bytes(XML.encode())
    length = len(XML.encode())
    kind = h5py.string_dtype("ascii", length)
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]
        file["dataset"].create_dataset("xml", (1,), kind, external=[(str(elsewhere), 0, length)])


def external_link(path):
    write(path.with_name("elsewhere.h5"), cartesian())
    with h5py.File(path, "w") as file:
        file["dataset"] = h5py.ExternalLink("elsewhere.h5", "/dataset")


def external_data_link(path):
    write(path.with_name("elsewhere.h5"), cartesian())
    write(path, cartesian())
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = h5py.ExternalLink("elsewhere.h5", "/dataset/data")


def links_to_a_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    with h5py.File(path, "w") as file:
        file["pipe"] = h5py.ExternalLink("pipe", "/dataset")


def rows_behind_a_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    write(path, cartesian())
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
        file["dataset/data"] = h5py.ExternalLink("pipe", "/dataset/data")


def soft_loop(file):
    file["dataset"] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/dataset")


def virtual_xml(path):
    write(path.with_name("elsewhere.h5"), cartesian())
    write(path, cartesian())
    layout = h5py.VirtualLayout((1,), h5py.string_dtype("utf-8"))
    layout[0] = h5py.VirtualSource("elsewhere.h5", "dataset/xml", (1,))[0]
    with h5py.File(path, "r+") as file:
        del file["dataset/xml"]
        file["dataset"].create_virtual_dataset("xml", layout)


def deep(file):
    place = file.id
    for _ in range(10_000):
        place = h5py.h5g.create(place, b"g")


def many_groups(path):
    """Names for one group, as good as groups; a million take no longer to refuse than these."""
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("group")
        for i in range(100_000):
            file.id.links.create_hard(b"g%d" % i, file.id, b"group")


def longer_object(content):
    """Let a heap object be longer than its row: HDF5 copies it over the end of its memory."""
    content = bytearray(content)
    place = content.index(cartesian().data[12].tobytes())
    struct.pack_into("<Q", content, place - 8, 384)
    return bytes(content)


def shorter_row(content):
    """Let a row be shorter than its heap object, to the same end."""
    content = bytearray(content)
    place = content.index(cartesian().heads[12].tobytes()) + 340 + 16
    struct.pack_into("<I", content, place, 2)
    return bytes(content)


def odd_exponent(content):
    """Give a number type of the head an exponent that starts elsewhere: HDF5 2.0 crashes on it."""
    content = bytearray(content)
    place = content.index(b"\x00\x00\x20\x00\x17\x08\x00\x17\x7f\x00\x00\x00")
    content[place + 8] = 254
    return bytes(content)


def pipe(path):
    os.mkfifo(path)


def listening(path):
    """A socket in the file system (its name must be short)."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as ear:
            ear.bind(path.name)
    finally:
        os.chdir(here)


HDF5_CASES = (
    refused("01 an empty file", lambda p: p.write_bytes(b""), "0 bytes", "copy or convert it"),
    refused(
        "02 a text renamed",
        lambda p: p.write_bytes(b"subject;age\n17;58\n" * 100),
        *("begins with b'subj'", "ISMRMRD v1", "siemens_to_ismrmrd"),
    ),
    refused("03 half of a file", patched(lambda b: b[: len(b) // 2]), "truncated", "copy"),
    refused("04 the last byte missing", patched(lambda b: b[:-1]), "truncated", "copy"),
    refused(
        "05 HDF5 without raw data",
        hdf5(lambda f: (f.create_group("images"), f.create_group("maps"))),
        *("images, maps", "data and xml", "raw data file"),
    ),
    usage("06 two measurements", two_groups, "--group", "dataset, dataset_2"),
    accepted("06 two measurements, one chosen", two_groups, options=("--group", "dataset_2")),
    usage("06 a group that is not there", two_groups, "no such group", options=("--group", "x")),
    refused("07 no xml", afterwards(no_xml), "data set xml", "no such data set", "convert"),
    refused("08 no data", afterwards(no_data), "data set data", "no such data set", "convert"),
    refused("09 an empty xml", document(""), "xml header", "empty document", "convert"),
    refused(
        "09 xml that is a number",
        afterwards(set_xml(data=[17])),
        *("data set xml", "int64", "one string"),
    ),
    refused(
        "10 xml not UTF-8", document(XML.encode().replace(b"<TR>", b"<TR>\xff")), "well-formed"
    ),
    accepted(
        "10 xml in declared latin-1",
        document(
            XML.replace("UTF-8", "ISO-8859-1")
            .replace("<TR>", "<sequence_type>Größe</sequence_type><TR>")
            .encode("latin-1")
        ),
    ),
    refused("10 xml in an unknown encoding", document(XML.replace("UTF-8", "klingon")), "klingon"),
    refused(
        "11 no rows",
        afterwards(set_data(shape=(0,), dtype=acquisition_dtype, chunks=(1,), maxshape=(None,))),
        *("data set data", "0 readouts", "at least one"),
    ),
    refused(
        "12 rows of another type",
        afterwards(set_data(data=np.zeros(4, [("a", "i4"), ("b", "f4")]))),
        *("data set data", "members a, b", "head, traj and data"),
    ),
    refused(
        "13 rows in two dimensions",
        afterwards(set_data(data=cartesian().rows().reshape(4, 8))),
        *("data set data", "shape (4, 8)"),
    ),
    refused("14 a row too short", row_of(60), "readout 11 (scan_counter 12), data", "60", "64"),
    refused("15 a row too long", row_of(66), "readout 11 (scan_counter 12), data", "66", "64"),
    refused("16 an odd number of floats", row_of(63), "scan_counter 12", "63", "64", "damaged"),
    refused(
        "17 no channels",
        head("active_channels", 0, slice(2, 5)),
        *("readout 10 (scan_counter 11), active_channels", "found 0", "at least 1", "3 of 32"),
    ),
    refused(
        "18 imaging readouts without samples",
        head("number_of_samples", 0, slice(2, 5)),
        *("readout 10 (scan_counter 11), number_of_samples", "found 0", "at least 1"),
    ),
    accepted("18 dummies without samples", scan(empty_dummies), ("dummy readouts", "1")),
    refused(
        "19 one readout of more channels",
        scan(more_channels),
        *("readout 13 (scan_counter 14), active_channels", "1 readouts of 3", "expected 2"),
    ),
    accepted("20 partial echoes beside full ones", scan(fewer_samples)),
    refused(
        "21 radial without positions",
        scan(without_positions, of=radial),
        *("readout 8 (scan_counter 9)", "no positions", "'radial'", "--trajectory FILE"),
    ),
    refused(
        "22 positions in seven dimensions",
        scan(seven_dims, of=radial),
        *("scan_counter 9", "trajectory_dimensions", "found 7", "0 to 6"),
    ),
    refused("23 a position NaN", position(np.nan), "readout 10 (scan_counter 11)", "NaN", "finite"),
    refused("23 a position infinite", position(np.inf), "readout 10 (scan_counter 11)", "finite"),
    refused(
        "24 all positions zero",
        scan(no_positions_but_zero, of=radial),
        *("only zeros", "--trajectory FILE"),
    ),
    refused(
        "25 positions in no known unit",
        scan(of=lambda: radial(scale=0.17)),
        *("largest |k| 1.36", "cycles/pixel 2.72", "rad/pixel 0.433", "cycles/fov 0.17"),
        *("1/m 0.0272", "1/cm 2.72", "1/mm 27.2", "rad/m", "rad/mm", "--trajectory-unit"),
    ),
    refused(
        "25 positions in one of two units",
        scan(
            lambda made: setattr(made, "xml", made.xml.replace(">160<", ">16<")),
            of=lambda: radial(scale=1 / 16),
        ),
        *("cycles/pixel 1", "1/mm 1", "2 fit", "--trajectory-unit"),
    ),
    accepted(
        "25 the same, its unit declared",
        scan(
            lambda made: setattr(made, "xml", made.xml.replace(">160<", ">16<")),
            of=lambda: radial(scale=1 / 16),
        ),
        ("trajectory unit", "declared"),
        options=("--trajectory-unit", "1/mm"),
    ),
    accepted(
        "26 NaN in one readout",
        sample(np.nan, [4]),
        ("samples", "NaN, infinity or sums above 1e+17 in 1 of 24"),
    ),
    accepted(
        "26 infinity in one readout",
        sample(-np.inf, [4]),
        ("samples", "NaN, infinity or sums above 1e+17 in 1 of 24"),
    ),
    refused(
        "26 NaN in two of 24 readouts",
        sample(np.nan, [4, 9]),
        *(
            "readout 12 (scan_counter 13)",
            "NaN, infinity or sums above 1e+17 in 2 of 24",
            "5%",
            "convert",
        ),
    ),
    accepted(
        "27 a silent coil", scan(silent_coil), ("receive channels", "only zeros in 1 of 2: 1")
    ),
    refused("28 nothing but zeros", scan(silence), "samples", "only zeros in all 24", "receivers"),
    refused(
        "28 zeros and a warning besides",
        scan(lambda made: (silence(made), only_imaging(made))),
        "only zeros in all 24",
    ),
    refused(
        "29 four terabytes of nothing",
        afterwards(set_data(shape=(2**34,), dtype=acquisition_dtype, chunks=(1024,))),
        *("data set data", "17179869184 rows", "0 bytes are stored"),
    ),
    refused(
        "29 an xml of a billion texts",
        afterwards(set_xml(shape=(10**9,), dtype=h5py.string_dtype("ascii", 4), chunks=(1024,))),
        *("data set xml", "1000000000 rows", "0 bytes are stored"),
    ),
    refused(
        "30 a gigabyte packed in a megabyte",
        afterwards(deflate_bomb),
        "data set data",
        "2720000 rows of 372 bytes",
    ),
    refused(
        "31 chunks larger than memory",
        afterwards(
            set_data(shape=(1,), dtype=acquisition_dtype, chunks=(10**6,), maxshape=(None,))
        ),
        *("data set data", "chunks of 372000000 bytes", "at most 268435456"),
    ),
    refused("32 chunks of another rank", patched(other_rank), "data set data", "copy or convert"),
    refused("33 bytes in another file", external_data, "data set xml", "stored in another file"),
    refused("34 a link to another file", external_link, "links, which are not followed", "dataset"),
    refused("34 rows in another file", external_data_link, "data set data", "a link to elsewhere"),
    refused("34 links to a pipe", links_to_a_pipe, "links, which are not followed", "pipe"),
    refused("34 rows behind a pipe", rows_behind_a_pipe, "data set data", "a link to elsewhere"),
    refused("35 links in a circle", hdf5(soft_loop), "2 of them links, which are not followed"),
    refused("36 a virtual data set", virtual_xml, "data set xml", "stored in another file"),
    refused("37 an unknown filter", afterwards(unknown_filter), "data set xml", "filter 32015"),
    refused("38 groups 10,000 deep", hdf5(deep), "HDF5 with g", "data and xml"),
    refused(
        "39 groups by the hundred thousand", many_groups, "1000 names and more", "data and xml"
    ),
    refused(
        "40 a heap object that overruns its row",
        patched(longer_object),
        *("readout 12 (scan_counter 13), data", "heap object of 384 bytes", "convert"),
    ),
    refused(
        "40 a row that its heap object overruns",
        patched(shorter_row),
        *("readout 12 (scan_counter 13), data", "found 2 numbers", "64", "convert"),
    ),
    usage("43 no such file", nothing, "no such file", "check the name", at_fault="raw.h5"),
    refused("43 a folder", lambda p: p.mkdir(), "a directory", "a regular file"),
    refused("43 a pipe", pipe, "a pipe, device or socket", "a regular file"),
    refused("43 a socket", listening, "a pipe, device or socket", "a regular file"),
    refused(
        "43 a device", lambda p: p.symlink_to("/dev/zero"), "a pipe, device or socket", "regular"
    ),
    *(
        accepted(f"45 a name with {what}", scan(), file=name)
        for what, name in (
            ("spaces", "left hand  7 T.h5"),
            ("a new line", "left\nhand.h5"),
            ("an emoji", "hand \N{RAISED HAND}.h5"),
            ("a leading dash", "-hand.h5"),
            ("255 bytes", "h" * 252 + ".h5"),
            ("bytes that are no text", os.fsdecode(b"hand\xff\xfe.h5")),
        )
    ),
    refused(
        "45 a damaged file with a new line in its name",
        lambda p: p.write_bytes(b""),
        "0 bytes",
        file="left\nhand.h5",
        at_fault="left hand.h5",
    ),
)


# --- 46 to 63: what the numbers mean --------------------------------------------------------


def missing(made, lines=(3, 7)):
    kept = np.setdiff1d(np.arange(len(made.heads)), made.imaging[list(lines)])
    made.heads = made.heads[kept]
    made.data = [made.data[i] for i in kept]
    made.traj = [made.traj[i] for i in kept]


def noise(change):
    """Change the noise readouts, shape (readouts, coils, samples, 2)."""

    def with_it(made):
        values = np.stack(made.data[:8]).reshape(8, 2, 16, 2)
        change(values)
        for row in range(8):
            made.data[row] = values[row].ravel()

    return scan(with_it)


def same_noise(values):
    values[:, 1] = 2 * values[:, 0]


def nan_noise(values):
    values[:] = np.nan


def one_nan_in_noise(values):
    values[2, 1, 5, 0] = np.nan


def noise_dwell(made):
    made.heads["sample_time_us"][:8] = 0


def frames(count, stamps=None):
    """Repeat the scan some times."""

    def change(made):
        rows = np.concatenate([np.arange(8), np.tile(made.imaging, count)])
        made.heads = made.heads[rows]
        made.data, made.traj = [made.data[i] for i in rows], [made.traj[i] for i in rows]
        made.heads["scan_counter"] = np.arange(len(rows))
        made.heads["idx"]["repetition"][8:] = np.repeat(np.arange(count), 24)
        rising = 1000 + 20 * np.arange(len(rows))
        made.heads["acquisition_time_stamp"] = rising if stamps is None else stamps(rising)
        made.replace("<maximum>0</maximum>", "<maximum>59</maximum>")

    return scan(change)


def second_encoding(made):
    first = made.xml[made.xml.index("<encoding>") : made.xml.index("</encoding>") + 11]
    second = first.replace("cartesian", "spiral")
    made.xml = made.xml.replace(first, first + second)
    made.heads["encoding_space_ref"][made.imaging[12:]] = 1


def second_encoding_with_positions(made):
    second_encoding(made)
    spokes = radial(spokes=12)
    for row, spoke in zip(made.imaging[12:], spokes.imaging, strict=True):
        made.data[row], made.traj[row] = spokes.data[spoke], spokes.traj[spoke]
        made.heads["trajectory_dimensions"][row] = 2
    made.xml = made.xml.replace("<y>24</y>", "<y>16</y>").replace("<y>120</y>", "<y>160</y>")
    made.xml = made.xml.replace("<maximum>23</maximum><center>12</center>", "<maximum>15</maximum>")


def channels_by_encoding(made):
    only_imaging(made)
    first = made.xml[made.xml.index("<encoding>") : made.xml.index("</encoding>") + 11]
    made.xml = made.xml.replace(first, first + first)
    made.heads["encoding_space_ref"][12:] = 1
    made.heads["active_channels"][12:] = 3
    for row in range(12, 24):
        made.data[row] = np.ones(2 * 3 * 16, np.float32)


def bipolar(*, turned):
    """Every other line flagged as reversed; ``turned`` is whether its samples are."""
    made = cartesian(samples=64)
    for row in made.imaging[1::2]:
        made.heads["flags"][row] |= REVERSE
        made.heads["center_sample"][row] = 31
    for row in made.imaging:
        values = 0.01 * made.data[row].reshape(2, 64, 2)
        values[:, 37, 0] = 400
        turn = turned and made.heads["flags"][row] & REVERSE
        made.data[row] = (values[:, ::-1] if turn else values).ravel()
    made.xml = made.xml.replace("<x>16</x>", "<x>64</x>")
    return made


MEANING_CASES = (
    *(
        refused(
            f"46 a matrix of {n}",
            xml("<encodedSpace>\n      <matrixSize><x>16", f"<encodedSpace><matrixSize><x>{n}"),
            *("encodedSpace/matrixSize/x", n, "1 to 65535", "correct the header"),
        )
        for n in ("0", "-16", "65536")
    ),
    refused(
        "47 more samples than the matrix",
        xml("<encodedSpace>\n      <matrixSize><x>16", "<encodedSpace><matrixSize><x>14"),
        *("readout 8 (scan_counter 9), number_of_samples", "16 samples", "14", "encodedSpace"),
    ),
    refused(
        "48 a centre outside its limits",
        xml("<center>12</center>", "<center>400</center>"),
        *("encodingLimits kspace_encode_step_1", "centre 400 outside 0 to 23", "encodingLimits"),
    ),
    accepted(
        "48 a centre of 0",
        xml("<center>12</center>", "<center>0</center>"),
        ("encodingLimits kspace_encode_step_1", "centre 0, but lines up to 23"),
    ),
    refused(
        "49 a line outside the matrix",
        counter("kspace_encode_step_1", [*range(23), 30]),
        *("readout 31 (scan_counter 32), kspace_encode_step_1", "line 30", "matrix of 24"),
    ),
    accepted(
        "49 lines beyond the limits",
        xml("<maximum>23</maximum>", "<maximum>20</maximum>"),
        ("encodingLimits kspace_encode_step_1", "readouts from 0 to 23"),
    ),
    accepted(
        "50 a line twice",
        counter("kspace_encode_step_1", [*range(23), 22]),
        ("repeated lines", "1 readouts"),
        ("k-space beyond the sampled region", "23 of 24"),
    ),
    accepted("51 two lines missing", scan(missing), ("missing lines", "22 of 24")),
    accepted("53 no noise scan", scan(only_imaging), ("noise readouts", "none")),
    refused(
        "53 two coils of the same noise",
        noise(same_noise),
        *("noise covariance", "smallest eigenvalue", "positive definite", "--noise none"),
    ),
    refused("53 noise of NaN", noise(nan_noise), "noise readouts", "NaN", "--noise none"),
    accepted(
        "53 one NaN in the noise",
        noise(one_nan_in_noise),
        ("noise readouts", "NaN or infinity in 1 of 128 samples"),
    ),
    refused(
        "54 noise without dwell time",
        scan(noise_dwell),
        *("sample_time_us", "noise 0 us, imaging 5 us", "--noise none"),
    ),
    *(
        refused(
            f"55 a field of view of {value}",
            xml(
                "</x><y>120</y><z>5</z></fieldOfView_mm>\n    </encodedSpace>",
                f"</x><y>{value}</y><z>5</z></fieldOfView_mm></encodedSpace>",
            ),
            *("encodedSpace/fieldOfView_mm/y", value, *expected, "correct the header"),
        )
        for value, expected in (
            ("0", ("positive",)),
            ("-120", ("positive",)),
            ("NaN", ("decimal number",)),
            ("0.12", ("millimetres",)),
            ("120000", ("millimetres",)),
        )
    ),
    accepted(
        "56 no directions",
        scan(lambda made: [made.heads[n].fill(0) for n in ("read_dir", "phase_dir", "slice_dir")]),
        ("read_dir, phase_dir, slice_dir", "all zero"),
    ),
    refused(
        "56 directions that are not orthogonal",
        head("phase_dir", (0.6, 0.8, 0)),
        *("readout 8 (scan_counter 9)", "not orthonormal", "0.6", "unit vectors"),
    ),
    refused(
        "56 a direction of NaN",
        head("slice_dir", (0, np.nan, 1)),
        *("readout 8 (scan_counter 9), slice_dir", "nan", "finite"),
    ),
    accepted("56 a left-handed frame", head("slice_dir", (0, 0, -1))),
    accepted(
        "57 five of sixty repetitions",
        frames(5),
        ("encodingLimits repetition", "5 in the readouts"),
    ),
    accepted(
        "58 time stamps that run backwards",
        frames(3, stamps=lambda rising: rising[::-1]),
        ("acquisition_time_stamp", "do not follow each other"),
    ),
    accepted(
        "58 time stamps that wrap at 2^32",
        frames(3, stamps=lambda rising: (rising + 2**32 - 1900) % 2**32),
        ("acquisition_time_stamp", "more than half of 4294967296"),
    ),
    accepted(
        "59 two echo times for one contrast",
        xml("<TE>4</TE>", "<TE>4</TE><TE>9</TE>"),
        ("sequenceParameters TE", "2 echo times, 1 contrasts"),
    ),
    accepted(
        "61 a frequency of 0",
        xml("298060000", "0"),
        ("H1resonanceFrequency_Hz", "0"),
        ("nucleus", "0 Hz at 7 T"),
    ),
    refused(
        "62 a second encoding without positions",
        scan(second_encoding),
        *("readout 20 (scan_counter 21)", "'spiral'", "--trajectory FILE"),
    ),
    accepted(
        "62 a second encoding with positions",
        scan(second_encoding_with_positions),
        ("trajectory unit", "cycles/fov"),
    ),
    accepted("62 encodings of two and of three channels", scan(channels_by_encoding)),
    refused(
        "62 an encoding the header does not have",
        head("encoding_space_ref", 1, slice(6, 9)),
        *("readout 14 (scan_counter 15), encoding_space_ref", "found 1", "1 encoding"),
    ),
    accepted("63 reversed lines, flagged", scan(of=lambda: bipolar(turned=True))),
    refused(
        "63 reversed lines, flagged wrongly",
        scan(of=lambda: bipolar(turned=False)),
        *("reversed readouts (flag 22)", "echoes 11.0 samples from", "convert"),
    ),
)


# --- 71 to 85: the XML ----------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))


def with_doctype(doctype, use=""):
    body = XML.split("?>")[1].replace("<TR>20", f"<TR>{use}20")
    return document(f'<?xml version="1.0"?>{doctype}{body}')


def measurement(name):
    """A protocol name, in the part of the header that is never read."""
    text = name.replace("&", "&amp;").replace("<", "&lt;").replace("]]", "")
    return xml(
        "  <acquisitionSystemInformation>",
        f"<measurementInformation><protocolName>{text}</protocolName>"
        "<patientPosition>HFP</patientPosition></measurementInformation>"
        "<acquisitionSystemInformation>",
    )


def with_byte(byte):
    return document(XML.encode().replace(b"<TR>20", b"<TR>2" + byte + b"0"))


XML_CASES = (
    refused(
        "71 a billion laughs",
        with_doctype(f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>', "&l11;"),
        "DOCTYPE",
    ),
    refused(
        "72 quadratic blow-up",
        with_doctype(f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>', "&a;" * 10_000),
        "DOCTYPE",
    ),
    refused(
        "73 an entity from a file",
        with_doctype('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "&e;"),
        *("DOCTYPE", "entities are not read"),
    ),
    refused("74 a DOCTYPE", with_doctype("<!DOCTYPE ismrmrdHeader>"), "DOCTYPE"),
    refused("75 200,000 elements deep", document("<a>" * 200_000), "depth 41", "depth 40"),
    refused(
        "75 a long name above many elements",
        document(f"<{'n' * 10**6}>{'<a/>' * 10**6}</{'n' * 10**6}>"),
        "name has 1000000 characters",
    ),
    refused("75 a million elements", document(f"<a>{'<b/>' * 10**6}</a>"), "at most 100000"),
    refused(
        "76 nine megabytes",
        xml("<TR>20", f"<!--{'x' * 9 * 2**20}--><TR>20"),
        *("data set xml", "bytes", "at most 8388608"),
    ),
    *(
        refused(
            f"77 78 a number that reads {value[:9]}",
            xml("<TR>20</TR>", f"<TR>{value}</TR>"),
            *("sequenceParameters/TR", value[:30], "finite decimal number", "correct the header"),
        )
        for value in ("abc", "1e400", "NaN", "1,5", "INF", "0x10", "9" * 2_000_000 + "x")
    ),
    accepted(
        "78 a field strength of -0",
        xml("_T>7<", "_T>-0<"),
        ("systemFieldStrength_T", "0"),
        ("nucleus", "at 0 T"),
    ),
    refused(
        "78 a decimal matrix",
        xml("<encodedSpace>\n      <matrixSize><x>16", "<encodedSpace><matrixSize><x>16.4"),
        *("encodedSpace/matrixSize/x", "16.4", "a whole number"),
    ),
    accepted(
        "78 a matrix that is nearly whole",
        xml("<encodedSpace>\n      <matrixSize><x>16", "<encodedSpace><matrixSize><x>15.9996"),
        ("encodedSpace/matrixSize/x", "15.9996"),
    ),
    accepted(
        "79 no namespace", xml(' xmlns="http://www.ismrm.org/ISMRMRD"', ""), ("xml namespace", "")
    ),
    accepted(
        "80 an element of a newer schema",
        xml("<TR>20", "<novelty unit='T'>3</novelty><TR>20"),
        ("xml sequenceParameters", "1 unknown element(s): novelty"),
    ),
    refused(
        "81 two limits of one counter",
        xml(
            "<repetition><minimum>0</minimum>",
            "<repetition><minimum>0</minimum></repetition><repetition><minimum>0</minimum>",
        ),
        *("encodingLimits/repetition", "2 elements", "at most one"),
    ),
    refused(
        "81 a limit beyond all counters",
        xml("<maximum>23</maximum>", "<maximum>1e300</maximum>"),
        *("kspace_encoding_step_1/maximum", "65535"),
    ),
    refused("82 a NUL inside", with_byte(b"\0"), "well-formed"),
    accepted("83 a byte order mark", document(b"\xef\xbb\xbf" + XML.encode())),
    accepted("83 UTF-16", document(XML.replace("UTF-8", "UTF-16").encode("utf-16"))),
)

HOSTILE_NAMES = {
    "84 a script": "<script>alert('x')</script>\"'`",
    "84 terminal codes": "stop \\x1b[2J here",
    "85 a relative path": "../../zzz",
    "85 an absolute path": "/etc/zzz",
    "85 a device of Windows": "CON.zzz",
    "85 4,000 characters": "zqx" * 1333,
}
HOSTILE_CASES = tuple(
    replace(accepted(name, measurement(text)), file="raw.h5")
    for name, text in HOSTILE_NAMES.items()
)


# --- 122 to 125: files beside the raw file ------------------------------------------------------


def beside(name, content, of=cartesian):
    """Build a sound file and another one beside it."""

    def build(path):
        write(path, of())
        (path.parent / name).write_bytes(content() if callable(content) else content)

    return build


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_head(shape, kind="<f4", body=b"\0" * 64):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


def npz_bomb():
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("k.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy_head((2**28, 3), body=b""))
        for _ in range(600):
            member.write(bytes(2**20))
    return file.getvalue()


def positions():
    made = radial()
    return npy(np.stack([made.traj[i].reshape(16, 2) for i in made.imaging]))


def h5_trajectory(change=nothing):
    def build(path):
        write(path, radial())
        with h5py.File(path.parent / "k.h5", "w") as file:
            made = radial()
            values = np.stack([made.traj[i].reshape(16, 2) for i in made.imaging])
            file["k"] = values
            change(file)

    return build


def given(name):
    return ("--trajectory", name)


BESIDE_CASES = (
    accepted(
        "122 a sound trajectory",
        beside("k.npy", positions, radial),
        ("external trajectory", "(26, 16, 2)"),
        options=given("k.npy"),
    ),
    refused(
        "122 a pickle as trajectory",
        beside("k.npy", lambda: npy(np.array([{"a": 1}], object)), radial),
        *("trajectory file", "type object"),
        options=given("k.npy"),
        at_fault="k.npy",
    ),
    refused(
        "122 a bomb of zeros as trajectory",
        beside("k.npz", npz_bomb, radial),
        *("trajectory file", "805306368 numbers", "at most"),
        options=given("k.npz"),
        at_fault="k.npz",
    ),
    *(
        refused(
            f"123 a trajectory of shape {shape}",
            beside("k.npy", npy_head(shape), radial),
            *("trajectory file", *words),
            options=given("k.npy"),
            at_fault="k.npy",
        )
        for shape, words in (
            ("(26, 16, 2)", ("NumPy",)),
            (str((2,) * 17), ("real numbers",)),
            ("(-26, 16, 2)", ("real numbers",)),
            ("(0, 16, 2)", ("real numbers",)),
            ("(1000000000000000000, 3)", ("at most",)),
            ("'" + "x" * 20 + "'", ("NumPy",)),
        )
    ),
    refused(
        "123 a trajectory of complex numbers",
        beside("k.npy", lambda: npy(np.zeros((26, 16, 2), complex)), radial),
        *("trajectory file", "complex128", "real numbers"),
        options=given("k.npy"),
        at_fault="k.npy",
    ),
    refused(
        "123 a trajectory of another measurement",
        beside("k.npy", lambda: npy(np.ones((25, 16, 2))), radial),
        *("external trajectory", "(25, 16, 2)", "26 readouts", "--trajectory-offset"),
        at_fault="k.npy",
        options=given("k.npy"),
    ),
    accepted(
        "123 a trajectory in HDF5 with its unit",
        h5_trajectory(lambda f: f["k"].attrs.__setitem__("unit", "cycles/FOV")),
        ("trajectory unit", "declared"),
        options=given("k.h5:k"),
    ),
    usage(
        "123 a trajectory with an unknown unit",
        h5_trajectory(lambda f: f["k"].attrs.__setitem__("unit", "furlongs")),
        *("furlongs", "--trajectory-unit"),
        options=given("k.h5"),
    ),
    refused(
        "123 a trajectory whose unit is an array",
        h5_trajectory(lambda f: f["k"].attrs.__setitem__("unit", np.zeros(5))),
        *("attribute unit", "one short text"),
        options=given("k.h5"),
        at_fault="k.h5",
    ),
    usage(
        "123 a trajectory that is not in the file",
        h5_trajectory(),
        *("no data set x", "--trajectory"),
        options=given("k.h5:x"),
    ),
    usage("123 no such trajectory", scan(), "no such file", options=given("none.npy")),
    refused(
        "123 a damaged noise file",
        beside("noise.h5", b"nothing at all"),
        *("begins with b'noth'",),
        options=("--noise", "noise.h5"),
        at_fault="noise.h5",
    ),
)


# --- a few of the stream's, where they meet the command line ------------------------------------

STREAM_CASES = (
    accepted("86 a byte stream", lambda p: write_stream(p, cartesian())),
    accepted(
        "104 a byte stream without close",
        lambda p: write_stream(p, cartesian(), close=False),
        ("stream", "no close message"),
    ),
    refused(
        "88 an unknown message",
        lambda p: p.write_bytes(stream_bytes(cartesian(), close=False) + message(7777, b"abc")),
        *("id 7777", "1008 (acquisition)", "convert"),
    ),
    refused(
        "92 a text of 4 GiB in ten bytes",
        lambda p: p.write_bytes(stream_bytes(cartesian(), close=False) + message(5, b"\xff" * 9)),
        *("message 5 (text)", "bytes beyond the end", "truncated"),
    ),
    refused(
        "93 an acquisition of 65535 by 65535",
        lambda p: p.write_bytes(huge_acquisition()),
        *("message 1008 (acquisition)", "bytes beyond the end", "truncated"),
    ),
)


def huge_acquisition():
    made = cartesian()
    made.heads["number_of_samples"][3] = made.heads["active_channels"][3] = 65535
    return stream_bytes(made)


CRASHING = Case("40 a number type on which HDF5 2.0 crashes", patched(odd_exponent))

CASES = (
    *HDF5_CASES,
    *MEANING_CASES,
    *XML_CASES,
    *HOSTILE_CASES,
    *BESIDE_CASES,
    *STREAM_CASES,
)
