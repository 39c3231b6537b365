"""How an image file is read; `docs/images.md` names these tests."""

import io
import os
import pathlib
import struct
import tempfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tfdvae import data
from tfdvae.data import image_file
from tfdvae.data.source import Preparation
from tfdvae.errors import InputError

rng = np.random.default_rng(0)
BYTES = rng.integers(0, 256, (6, 4), np.uint8)
COLOURS = rng.integers(0, 256, (6, 4, 3), np.uint8)


def all_images(name, **arguments):
    """Return all images of a dataset as bytes (n, H, W, C), training first, with the dataset."""
    dataset = data.load_dataset(name, validation_fraction=0.2, **arguments)
    batches = [data.images_of(batch) for part in range(3) for batch in dataset.in_order(part, 7).as_numpy_iterator()]
    return np.round(np.concatenate(batches) * 255).astype(np.uint8), dataset


def read(folder, image, suffix="png", copies=10, **arguments):
    """Return an image as a dataset of copies of it delivers it (H, W, C), and the dataset; memory, stream and their resizing must agree."""
    folder.mkdir(exist_ok=True)
    for i in range(copies):
        image.save(folder / f"{i}.{suffix}") if isinstance(image, Image.Image) else (folder / f"{i}.{suffix}").write_bytes(image)
    return read_folder(folder, **arguments)


def read_folder(folder, **arguments):
    whole, dataset = all_images(f"folder:{folder}", **arguments)
    for size in (0, 5):
        both = [all_images(f"folder:{folder}", **arguments | {"image_size": size, "memory_limit": limit})[0] for limit in (2.0, 1e-9)]
        np.testing.assert_array_equal(*both)
    assert np.all(whole == whole[:1])
    return whole[0], dataset


def tiff(values, **tags):
    content = io.BytesIO()
    Image.fromarray(values).save(content, "tiff", tiffinfo=tags.get("tags", {}))
    return content.getvalue()


def raw_tiff(planes, bits, **tags):
    """Return an uncompressed TIFF of 6x4 pixels; `planes` are the bytes of its planes."""
    channels = max(len(planes), len(tags.get("bits_of_all", (bits,))))
    data, offsets = b"".join(planes), np.cumsum([8, *map(len, planes)])[:-1]
    entries = {256: (3, [4]), 257: (3, [6]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [tags.get("photometric", 1)])}
    entries |= {273: (4, list(offsets)), 277: (3, [channels]), 278: (3, [6]), 279: (4, [len(plane) for plane in planes])}
    entries |= {284: (3, [tags.get("layout", 1)]), 339: (3, [tags.get("kind", 1)] * channels)}
    directory, rest = b"", b""
    start = 8 + len(data) + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            rest, packed = rest + packed, struct.pack("<I", start + len(rest))
        directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(entries)) + directory + bytes(4) + rest


def raw_png(values, bits, transparent, colour_type=0):
    """Return a PNG of rows of bytes with one transparent value or colour."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 6, bits, colour_type, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + row for row in values))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", transparent) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# ---- transparency


def test_transparent_pixels_are_drawn_on_the_background_and_noted(tmp_path):
    pixels = np.dstack([COLOURS, np.full((6, 4), 255, np.uint8)])
    pixels[0, 0, 3], pixels[1, 1] = 0, (10, 20, 30, 51)  # 51 / 255 = one fifth
    image = Image.fromarray(pixels)
    white, dataset = read(tmp_path / "x", image)
    assert tuple(white[0, 0]) == (255, 255, 255) and tuple(white[1, 1]) == (206, 208, 210)
    np.testing.assert_array_equal(white[2:], COLOURS[2:])
    assert "10 images with transparent pixels, drawn on white (--background)" in dataset.notes
    assert tuple(read(tmp_path / "x", image, background="#ff8000")[0][0, 0]) == (255, 128, 0)
    hidden, dataset = read(tmp_path / "x", image, background="none")
    assert tuple(hidden[0, 0]) == tuple(COLOURS[0, 0]) and "transparency is ignored" in " ".join(dataset.notes)


def test_opaque_pixels_with_an_alpha_channel_are_not_noted(tmp_path):
    opaque, dataset = read(tmp_path / "x", Image.fromarray(COLOURS).convert("RGBA"))
    np.testing.assert_array_equal(opaque, COLOURS)
    assert len(dataset.notes) == 1  # of the test split


def test_grey_with_transparency_stays_grey_on_a_grey_background_alone(tmp_path):
    image = Image.fromarray(np.dstack([BYTES, np.where(BYTES > 128, 255, 0).astype(np.uint8)]), "LA")
    white, _ = read(tmp_path / "x", image)
    np.testing.assert_array_equal(white[..., 0], np.where(BYTES > 128, BYTES, 255))
    blue, _ = read(tmp_path / "x", image, background="#0000ff")
    assert blue.shape == (6, 4, 3) and np.all(blue[BYTES <= 128] == (0, 0, 255))


def test_a_transparent_palette_entry_and_a_transparent_colour(tmp_path):
    image = Image.fromarray(COLOURS).quantize(4)
    image.info["transparency"] = 0
    shown, _ = read(tmp_path / "palette", image, "gif")
    index = np.asarray(image)
    assert np.all(shown[index == 0] == 255) and not np.all(shown[index == 1] == 255)
    key = io.BytesIO()
    Image.fromarray(BYTES).save(key, "png", transparency=int(BYTES[0, 0]))
    shown, _ = read(tmp_path / "key", key.getvalue())
    np.testing.assert_array_equal(shown[..., 0], np.where(BYTES[0, 0] == BYTES, 255, BYTES))


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_a_transparent_grey_value_of_every_depth(tmp_path, bits):
    values = np.arange(24).reshape(6, 4) % 2**bits * (2711 if bits == 16 else 1)
    key = int(values[0, 3])
    if bits < 8:
        packed = [sum(int(v) << bits * (8 // bits - 1 - i % (8 // bits)) for i, v in enumerate(row)) for row in values]
        rows = (
            [value.to_bytes(1, "big") for value in packed]
            if bits == 2
            else [bytes([int(row[0]) << 4 | int(row[1]), int(row[2]) << 4 | int(row[3])]) for row in values]
        )
    else:
        rows = [row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in values]
    shown, dataset = read(tmp_path / "x", raw_png(rows, bits, struct.pack(">H", key)))
    np.testing.assert_array_equal(shown[..., 0], np.where(values == key, 255, np.round(values * 255 / (2**bits - 1))))
    assert "10 images with transparent pixels" in " ".join(dataset.notes)


def test_a_transparent_colour(tmp_path):
    rows = [row.tobytes() for row in COLOURS]
    shown, _ = read(tmp_path / "eight", raw_png(rows, 8, struct.pack(">HHH", *map(int, COLOURS[2, 1])), 2))
    assert tuple(shown[2, 1]) == (255, 255, 255) and np.array_equal(shown[3:], COLOURS[3:])
    rows = [(row.astype(">u2") * 257).tobytes() for row in COLOURS]
    with pytest.raises(InputError, match="16-bit colours, one of them transparent"):
        read(tmp_path / "sixteen", raw_png(rows, 16, struct.pack(">HHH", 1, 2, 3), 2))


def test_hidden_colours_of_a_palette_count_where_transparency_is_ignored(tmp_path):
    image = Image.fromarray((np.arange(24).reshape(6, 4) % 3).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255, 255, 0, 0])
    image.info["transparency"] = 2
    assert read(tmp_path / "x", image)[0].shape == (6, 4, 1)
    hidden, _ = read(tmp_path / "x", image, background="none")
    assert tuple(hidden[0, 2]) == (255, 0, 0)


# ---- depth


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_their_range(tmp_path, suffix):
    values = rng.integers(0, 65_536, (6, 4), np.uint16)
    shown, _ = read(tmp_path / "x", Image.fromarray(values), suffix)
    np.testing.assert_array_equal(shown[..., 0], np.round(values / 257))


def test_a_negative_of_sixteen_bits_is_turned_over(tmp_path):
    values = rng.integers(0, 65_536, (6, 4), np.uint16)
    shown, _ = read(tmp_path / "x", tiff(values, tags={image_file.PHOTOMETRIC: 0}), "tif")
    np.testing.assert_array_equal(shown[..., 0], np.round((65_535 - values) / 257))


def test_a_negative_of_floats_is_turned_over(tmp_path):
    values = rng.random((6, 4), np.float32)
    shown, _ = read(tmp_path / "x", raw_tiff([values.tobytes()], 32, photometric=0, kind=3), "tif")
    np.testing.assert_array_equal(shown[..., 0], np.round((1 - values) * 255))


def test_twelve_bits_by_their_file_are_scaled_by_them(tmp_path):
    values = rng.integers(0, 4096, (6, 4))
    rows = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in values.reshape(-1, 2).tolist())
    shown, dataset = read(tmp_path / "x", raw_tiff([rows], 12), "tif")
    np.testing.assert_allclose(shown[..., 0], values * 255 / 4095, atol=0.51)
    assert len(dataset.notes) == 1


@pytest.mark.parametrize(
    "content, said",
    [
        (raw_tiff([BYTES.tobytes()], 8, kind=2), "signed 8-bit integers"),
        (raw_tiff([COLOURS[..., i].astype("<u2").tobytes() for i in range(3)], 16, photometric=2, layout=2), "16 bits in separate planes"),
        (
            raw_tiff([BYTES.astype("<u4").tobytes()], 32, photometric=0),
            "of a kind that Pillow does not read|a negative .* of 32-bit integers",
        ),
        (raw_tiff([BYTES.astype("<f8").tobytes()], 64, kind=3), "of a kind that Pillow does not read, such as 64-bit floats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\nshowpage\n", "a PostScript file"),
    ],
)
def test_what_pillow_misreads_or_does_not_read_is_refused(tmp_path, content, said):
    for i in range(10):
        (tmp_path / f"{i}.tif").write_bytes(content)
    with pytest.raises(InputError, match=f"10 images of 10 cannot be read: .*({said})"):
        data.load_dataset(f"folder:{tmp_path}")


def test_twelve_bits_in_sixteen_are_noted(tmp_path):
    _, dataset = read(tmp_path / "x", Image.fromarray(rng.integers(0, 4096, (6, 4), np.uint16)))
    assert "no value above" in dataset.notes[1] and "very dark" in dataset.notes[1]


@pytest.mark.parametrize("limit", [255, 65_535])
def test_integers_of_32_bits_within_a_narrower_range_have_that_range(tmp_path, limit):
    values = rng.integers(0, limit + 1, (6, 4), np.int32)
    values[0, 0] = limit
    shown, dataset = read(tmp_path / "x", tiff(values), "tif")
    np.testing.assert_array_equal(shown[..., 0], np.round(values * 255 / limit))
    assert f"10 images of 32-bit integers, all within 0 to {limit:,}, taken as the range" in dataset.notes


def test_the_range_of_32_bits_is_that_of_the_whole_dataset(tmp_path):
    for i in range(10):
        (tmp_path / f"{i}.tif").write_bytes(tiff(np.full((4, 4), 200 if i else 300, np.int32)))
    for arguments in ({}, {"memory_limit": 1e-9}):
        images, _ = all_images(f"folder:{tmp_path}", **arguments)
        assert set(np.unique(images)) == {1}  # 200 / 257 and 300 / 257


def test_floats_within_0_to_1_are_scaled(tmp_path):
    values = rng.random((6, 4), np.float32)
    shown, _ = read(tmp_path / "x", tiff(values), "tif")
    np.testing.assert_array_equal(shown[..., 0], np.round(values * 255))


@pytest.mark.parametrize(
    "value, said",
    [
        (np.float32(1.5), "32-bit floats, mode F, with values from 0 to 1.5; expected 0 to 1"),
        (np.float32("nan"), "32-bit floats, mode F, some of them NaN or infinite; expected 0 to 1"),
        (np.float32("inf"), "NaN or infinite"),
        (np.int32(70_000), "32-bit integers, mode I, with values from 0 to 70000; expected 0 to 255 or 0 to 65,535"),
        (np.int32(-1), "32-bit integers, mode I, with values from -1 to 0"),
    ],
)
def test_values_without_a_known_range_are_refused(tmp_path, value, said):
    for i in range(10):
        values = np.zeros((4, 4), value.dtype)
        values[0, 0] = value if i == 3 else 0
        (tmp_path / f"{i}.tif").write_bytes(tiff(values))
    for limit in (2.0, 1e-9):
        with pytest.raises(InputError) as refused:
            data.load_dataset(f"folder:{tmp_path}", memory_limit=limit)
        assert f"1 image of 10 cannot be read: {tmp_path / '3.tif'} (" in str(refused.value) and said in str(refused.value)


# ---- colours


def test_one_bit_and_a_grey_palette_have_one_channel(tmp_path):
    shown, _ = read(tmp_path / "bit", Image.fromarray(BYTES > 128))
    np.testing.assert_array_equal(shown[..., 0], np.where(BYTES > 128, 255, 0))
    shown, _ = read(tmp_path / "palette", Image.fromarray(BYTES).quantize(256), "gif")
    np.testing.assert_array_equal(shown[..., 0], BYTES)
    shown, _ = read(tmp_path / "colours", Image.fromarray(COLOURS).quantize(8), "gif")
    assert shown.shape == (6, 4, 3)


def test_cmyk_and_lab_become_red_green_and_blue(tmp_path):
    orange = np.full((6, 4, 3), (200, 128, 60), np.uint8)
    shown, _ = read(tmp_path / "cmyk", Image.fromarray(orange).convert("CMYK"), "tif")
    np.testing.assert_array_equal(shown, orange)
    lab, rgb = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
    shown, _ = read(tmp_path / "lab", ImageCms.profileToProfile(Image.fromarray(orange), rgb, lab, outputMode="LAB"), "tif")
    np.testing.assert_allclose(shown.astype(int), orange, atol=3)  # LAB has 8 bits too


def test_grey_beside_colour_has_three_equal_channels(tmp_path):
    for i in range(10):
        Image.fromarray(BYTES if i % 2 else COLOURS).save(tmp_path / f"{i}.png")
    images, _ = all_images(f"folder:{tmp_path}")
    assert sum(np.array_equal(image, np.repeat(BYTES[..., np.newaxis], 3, axis=-1)) for image in images) == 5


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_is_used_and_it_is_said(tmp_path, suffix):
    frames = [Image.fromarray(np.full((6, 4, 3), value, np.uint8)) for value in (40, 200)]
    content = io.BytesIO()
    more = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(content, {"tif": "tiff"}.get(suffix, suffix), save_all=True, append_images=frames[1:], **more)
    shown, dataset = read(tmp_path / "x", content.getvalue(), suffix)
    assert np.all(shown == 40)
    assert "10 images with more than one frame or page, of which only the first is used" in dataset.notes


# ---- size


def test_circles_stay_circles_unless_stretched():
    wide = np.zeros((20, 40, 3), np.uint8)
    y, x = np.mgrid[:20, :40]
    wide[(y - 9.5) ** 2 + (x - 19.5) ** 2 < 64] = 255
    extents = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.png"
        Image.fromarray(wide).save(path)
        for resize in ("crop", "fit", "stretch"):
            image = image_file.pixels(path, (20, 20, 3), Preparation(20, resize, (255, 0, 0)))
            disc = np.all(image > 128, axis=-1)
            extents[resize] = disc.any(axis=0).sum(), disc.any(axis=1).sum()
            border = np.all(image == (255, 0, 0), axis=-1)
            assert border.any() == (resize == "fit") and (resize != "fit" or border[[0, -1]].all())
    assert extents == {"crop": (16, 16), "fit": (8, 8), "stretch": (8, 16)}


@pytest.mark.parametrize("shape", [(3, 500, 3), (500, 1, 3), (1, 1, 3)])
def test_thin_images_stay_visible(tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "x.png")
    of_array = data.load_dataset(arrays=(np.zeros((10, *shape), np.uint8), None), image_size=8, resize="fit", validation_fraction=0.2)
    images = [image_file.pixels(tmp_path / "x.png", (8, 8, 3), Preparation(8, "fit")) / 255, next(of_array.test(1).as_numpy_iterator())[0]]
    np.testing.assert_array_equal(*images)
    assert np.any(images[0] == 0)


@pytest.mark.parametrize("resize", ["crop", "fit", "stretch"])
def test_arrays_are_resized_as_files_are(tmp_path, resize):
    """By another library, so to within a little; the place of everything is the same."""
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize((50, 30), Image.Resampling.BICUBIC))
    Image.fromarray(smooth).save(tmp_path / "x.png")
    of_file = image_file.pixels(tmp_path / "x.png", (12, 12, 3), Preparation(12, resize))
    of_array = data.load_dataset(arrays=(np.repeat(smooth[np.newaxis], 10, 0), None), image_size=12, resize=resize, validation_fraction=0.2)
    images = next(of_array.test(1).as_numpy_iterator())[0] * 255
    assert np.abs(images - of_file).mean() < 6 and np.abs(images - of_file).max() < 40


# ---- metadata


def exif_block(entries, order="<", first=8, data=b""):
    """Return a block of EXIF with entries (tag, kind, count, value of 4 bytes)."""
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", first)
    block += struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(f"{order}HHI", tag, kind, count) + value
    return b"Exif\0\0" + block + struct.pack(f"{order}I", 0) + data


def orientation_entry(value, order="<"):
    return 0x112, 3, 1, struct.pack(f"{order}HH", value, 0)


SIDES = np.zeros((16, 24, 3), np.uint8)  # as stored: its left half is white
SIDES[:, :12] = 255
WHITE_SIDE = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}  # of the upright image


def white_side(image):
    halves = {"left": image[:, : image.shape[1] // 2], "right": image[:, -(image.shape[1] // 2) :]}
    halves |= {"top": image[: image.shape[0] // 2], "bottom": image[-(image.shape[0] // 2) :]}
    return max(halves, key=lambda side: halves[side].mean())


def jpeg_with(exif):
    content = io.BytesIO()
    Image.fromarray(SIDES).save(content, "jpeg", exif=exif)
    return content.getvalue()


def upright(content, suffix=".jpg"):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"x{suffix}"
        path.write_bytes(content)
        image, _ = image_file.opened(path)
        return np.asarray(image.convert("RGB"))


MALFORMED = {
    "a negative denominator of zero": (0x11A, 10, 1, struct.pack("<I", 8)),
    "text in place of a number": (0x100, 2, 4, b"abc\0"),
    "an offset beyond the end": (0x10F, 2, 400, struct.pack("<I", 90_000)),
    "an unknown kind": (0x132, 99, 1, b"\0\0\0\0"),
    "a directory that points to itself": (0x8769, 4, 1, struct.pack("<I", 8)),
    "a directory that is a text": (0x8825, 2, 4, b"abc\0"),
    "a huge count": (0x9286, 7, 2**32 - 1, struct.pack("<I", 8)),
}


@pytest.mark.parametrize("malformed", MALFORMED)
@pytest.mark.parametrize("orientation", WHITE_SIDE)
def test_orientation_is_applied_whatever_stands_beside_it(orientation, malformed):
    for entries in ([orientation_entry(orientation), MALFORMED[malformed]], [MALFORMED[malformed], orientation_entry(orientation)]):
        image = upright(jpeg_with(exif_block(entries)))
        assert image.shape[:2] == ((24, 16) if orientation > 4 else (16, 24)) and white_side(image) == WHITE_SIDE[orientation]


@pytest.mark.parametrize("orientation", WHITE_SIDE)
@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "tiff_lzw", "big-endian"])
def test_orientation_of_every_kind_of_file(kind, orientation):
    content, image = io.BytesIO(), Image.fromarray(SIDES)
    if kind.startswith("tiff"):
        image.save(content, "tiff", tiffinfo={0x112: orientation}, compression=kind if kind != "tiff" else None)
    elif kind == "big-endian":
        image.save(content, "jpeg", exif=exif_block([orientation_entry(orientation, ">")], ">"))
    else:
        image.save(content, kind, exif=exif_block([orientation_entry(orientation)]))
    shown = upright(content.getvalue(), "." + kind[:4].replace("big-", "jpg"))
    assert shown.shape[:2] == ((24, 16) if orientation > 4 else (16, 24)) and white_side(shown) == WHITE_SIDE[orientation]


entry = st.tuples(st.integers(0, 65_535), st.integers(0, 16), st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=4))
tags = st.sampled_from([0x10F, 0x112, 0x11A, 0x11B, 0x128, 0x132, 0x213, 0x8769, 0x8825, 0xA005, 0x927C, 0x9286])
likely = st.tuples(tags, st.integers(0, 13), st.integers(0, 64), st.binary(min_size=4, max_size=4))


def check_any_exif(entries, order, rest, orientation, place):
    """Whatever EXIF holds, the file is read, and its first orientation is applied."""
    entries = [entry for entry in entries if entry[0] != 0x112]
    entries.insert(min(place, len(entries)), orientation_entry(orientation, order))
    image = upright(jpeg_with(exif_block(entries, order, data=rest)[:60_000]))
    assert white_side(image) == WHITE_SIDE[orientation]


def check_any_file(content, suffix):
    """Whatever a file holds, it is read or refused in a sentence, in memory as in a stream."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f"x{suffix}"
        path.write_bytes(content)
        try:
            facts = image_file.facts_of(path, None)
            image_file.pixels(path, (*facts.size[::-1], 3), Preparation(), image_file.SIXTEEN_BITS)
        except image_file.Unreadable as error:
            assert str(error).isprintable() and len(str(error)) < 400


def encoded(kind):
    content = io.BytesIO()
    exif = {"exif": exif_block([orientation_entry(6), MALFORMED["an unknown kind"]])} if kind in ("jpeg", "png", "webp") else {}
    Image.fromarray(SIDES).save(content, kind, **exif)
    return content.getvalue()


KINDS = {kind: encoded(kind) for kind in ("jpeg", "png", "webp", "tiff", "gif", "bmp")}


@st.composite
def damaged(draw):
    """A file that is cut off, or some bytes of which are others."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    content = bytearray(KINDS[kind])
    for _ in range(draw(st.integers(0, 6))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content), "." + kind


exif_of_any_kind = {
    "entries": st.lists(st.one_of(entry, likely), max_size=8), "order": st.sampled_from("<>"), "rest": st.binary(max_size=200),
    "orientation": st.sampled_from(sorted(WHITE_SIDE)), "place": st.integers(0, 8),
}  # fmt: skip
quick = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
full = settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(**exif_of_any_kind)
def test_any_exif(entries, order, rest, orientation, place):
    check_any_exif(entries, order, rest, orientation, place)


@quick
@given(damaged())
def test_any_file(file):
    check_any_file(*file)


@pytest.mark.slow
@full
@given(**exif_of_any_kind)
def test_any_exif_in_full(entries, order, rest, orientation, place):
    check_any_exif(entries, order, rest, orientation, place)


@pytest.mark.slow
@full
@given(damaged())
def test_any_file_in_full(file):
    check_any_file(*file)


def test_a_file_that_breaks_after_the_first_reading_is_named(tmp_path):
    for i in range(10):
        Image.fromarray(BYTES).save(tmp_path / f"{i}.png")
    dataset = data.load_dataset(f"folder:{tmp_path}", memory_limit=1e-9, validation_fraction=0.2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"other")
    with pytest.raises(Exception, match=r"\d\.png cannot be read \(not an image"):
        list(dataset.train(4).take(2))


def test_a_large_file_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for i in range(10):
        Image.fromarray(BYTES).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match=rf"10 images of 10 cannot be read: {tmp_path}.*exceeds limit"):
        data.load_dataset(f"folder:{tmp_path}")
    assert os.listdir(tmp_path)
