"""One image file to an array of bytes: its orientation, depth, transparency and colours. `docs/images.md` has every format.

Pixels of 8 bits stay as they are. Wider pixels are scaled to 8 bits by the range of their type. The types of 32-bit integers and of floats
give no range; there the values must show it.
"""

import contextlib
import dataclasses
import re
import struct
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import short_reason
from .source import hexadecimal

# Pillow warns of malformed metadata, which do not matter here. Files are read in threads, which share the filters of the process.
warnings.filterwarnings("ignore", module=r"PIL\.")

ORIENTATION = 0x0112  # tag of EXIF and TIFF
BITS, COMPRESSION, PHOTOMETRIC, PLANES, SAMPLES = 258, 259, 262, 284, 339  # tags of TIFF
TRANSPOSITIONS = {  # EXIF 2.32, section 4.6.4
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
KINDS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}  # of whole numbers in EXIF
TWELVE_BITS, SIXTEEN_BITS = 4_095, 65_535


class Unreadable(Exception):
    """An image file cannot be used. The message is the reason, a part of a sentence."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """An image file without its pixels."""

    size: tuple[int, int]  # width and height of the upright image
    mode: str  # Pillow's name for the kind of pixels
    grey: bool
    transparent: bool  # whether some pixels are
    animated: bool
    low: float = 0.0  # smallest and largest value of pixels wider than 8 bits
    high: float = 0.0


def facts_of(path, background):
    """Return the `Facts` of an image file, or raise `Unreadable`; `background` is as in `source.Preparation`."""
    with only_unreadable():
        image, animated = opened(path)
        low, high = 0.0, 0.0
        if is_wide(image):
            values = np.asarray(image)
            if not np.all(np.isfinite(values)):
                raise Unreadable("32-bit floats, mode F, some of them NaN or infinite; expected 0 to 1")
            low, high = float(values.min()), float(values.max())
        transparent = bool(np.any(opacity_of(image) < 255))
        return Facts(image.size, image.mode, is_grey(image, background), transparent, animated, low, high)


def pixels(path, image_shape, preparation, integer_range=None):
    """Return an image file as an array of bytes.

    Args:
        path: of the file.
        image_shape: (H, W, C) of the array; C is 1 or 3.
        preparation: `source.Preparation`.
        integer_range: the largest value that 32-bit integers may have, 255 or 65,535.

    Raises:
        Unreadable: the file is broken, or its pixels have no known range.
    """
    height, width, channels = image_shape
    with only_unreadable():
        image, _ = opened(path)
        if is_wide(image):
            image = in_bytes(image, integer_range)
        image = on_background(image, "L" if channels == 1 else "RGB", preparation.background)
        if image.size != (width, height):
            image = fitted(image, (width, height), preparation)
        return np.asarray(image, np.uint8).reshape(image_shape)


@contextlib.contextmanager
def only_unreadable():
    """Turn every exception into `Unreadable`: Pillow raises many kinds for a broken file."""
    try:
        yield
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not an image, damaged at its beginning, or of a kind that Pillow does not read, such as 64-bit floats") from None
    except Exception as error:
        raise Unreadable(short_reason(error)) from None


def opened(path):
    """Return the first frame of an image file, upright and decoded, and whether the file has more frames."""
    with Image.open(path) as image:
        if image.format == "EPS":
            raise Unreadable("a PostScript file, which is a program")
        tags = _tags(image) if image.format == "TIFF" else {}
        load(image)
        method, animated = TRANSPOSITIONS.get(orientation_of(image)), is_animated(image)
        upright = image if method is None else image.transpose(method)
        upright.load()  # before the file is closed: to look for further frames goes back to its beginning
        key = image.info.get("transparency") if image.format == "PNG" and image.mode in ("L", "I", "I;16", "RGB") else None
        bits = _bits_of_png(path) if key is not None else 8
    if key is not None:
        return _with_opacity(upright, key, bits), animated
    if image.format == "PNG" and image.mode == "I":  # so Pillow before version 11 reads a PNG of 16 bits
        upright = Image.fromarray(np.asarray(upright).astype(np.uint16))
    return _of_full_range(upright, tags), animated


def _tags(image):
    """Return the tags of a TIFF that say what its pixels mean; raise `Unreadable` for those that Pillow misreads."""
    tags = {tag: image.tag_v2.get(tag) for tag in (BITS, COMPRESSION, PHOTOMETRIC, PLANES, SAMPLES)}
    bits = tags[BITS] or (1,)
    if tags[PLANES] == 2 and bits[0] > 8 and len(bits) > 1 and tags[COMPRESSION] == 1:
        raise Unreadable("channels of 16 bits in separate planes, which Pillow misreads; expected them together")
    if 2 in (tags[SAMPLES] or ()) and bits[0] == 8:
        raise Unreadable("signed 8-bit integers; expected unsigned ones")
    if tags[PHOTOMETRIC] == 0 and image.mode == "I":
        raise Unreadable("a negative (WhiteIsZero) of 32-bit integers, mode I; expected 8 or 16 bits")
    return tags


def _of_full_range(image, tags):
    """Return an image of a TIFF with its range spread over that of its mode: 12 bits over 16, and a negative turned over."""
    twelve, negative = tags.get(BITS) == (12,), tags.get(PHOTOMETRIC) == 0 and is_wide(image)
    if not (twelve or negative):
        return image
    values = np.asarray(image)
    if twelve:
        values = np.round(values * (SIXTEEN_BITS / TWELVE_BITS)).astype(np.uint16)
    if negative:
        values = 1 - values if image.mode == "F" else (SIXTEEN_BITS - values).astype(np.uint16)
    return Image.fromarray(values)


def _bits_of_png(path):
    """Return the bits of a channel of a PNG, from its header."""
    with open(path, "rb") as file:
        return file.read(25)[24]


def _with_opacity(image, key, bits):
    """Return an image of a PNG, one value or colour of which is transparent, with a channel of opacity.

    Pillow scales 2, 4 and 16 bits to 8, but not the key.
    """
    values = np.asarray(image)
    if image.mode == "RGB":
        if bits == 16:
            raise Unreadable("16-bit colours, one of them transparent, which Pillow rounds away; expected a channel of opacity")
        opaque = np.any(values != np.asarray(key), axis=-1)
    else:
        opaque = values != key * {2: 85, 4: 17}.get(bits, 1)
    if bits == 16:
        values = np.round(values * (255 / SIXTEEN_BITS))
    return Image.fromarray(np.dstack([values.astype(np.uint8), np.where(opaque, 255, 0).astype(np.uint8)]))


def load(image):
    """Decode the first frame of an open file, whatever else is malformed in the metadata beside its orientation."""
    if image.format == "TIFF":  # the only one that Pillow turns upright itself, after it has read all the metadata
        exif = Image.Exif()
        exif[ORIENTATION] = image.tag_v2.get(ORIENTATION, 1)
        image.getexif = lambda: exif
    image.load()


def orientation_of(image):
    """Return the orientation of a decoded image, as EXIF counts them; another value where it has none."""
    in_exif = _orientation_in(image.info.get("exif", b""))  # first: Pillow gives up at some malformed tags before it
    if in_exif is not None:
        return in_exif
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises many kinds for malformed tags
        return 1


def _orientation_in(exif):
    """Return the orientation in a block of EXIF whose other tags may be malformed, None where it has none."""
    block = re.sub(rb"^(Exif\0\0)+", b"", exif)
    order = ">" if block[:2] == b"MM" else "<"
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for i in range(count):
            tag, kind = struct.unpack_from(f"{order}HH", block, first + 2 + 12 * i)
            if tag == ORIENTATION:
                return struct.unpack_from(order + KINDS.get(kind, "H"), block, first + 10 + 12 * i)[0]
    except struct.error:
        pass
    return None


def is_animated(image):
    """Return whether a file has further frames of the same kind; a phone's MPO has a preview or a depth map instead."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # a broken second frame
        return True


def is_wide(image):
    """Return whether pixels have more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def opacity_of(image):
    """Return the opacity of pixels, from 0 to 255: (H, W), or one number where all are opaque."""
    return np.asarray(straight(image).convert("RGBA"))[..., 3] if image.has_transparency_data else np.uint8(255)


def straight(image):
    """Return an image whose colours are not multiplied by their opacity."""
    return image.convert(image.mode.upper()) if image.mode in ("La", "RGBa") else image


def is_grey(image, background):
    """Return whether an image is grey by its mode, or by the colours of its palette that show on a background."""
    if image.mode not in ("P", "PA"):
        return image.mode in ("1", "L", "LA", "La") or is_wide(image)
    colours = np.asarray(image.convert("RGB"))
    coloured = np.any(colours != colours[..., :1], axis=-1)
    return not np.any(coloured if background is None else coloured & (opacity_of(image) > 0))


def in_bytes(image, integer_range):
    """Return an image of wider pixels in 8 bits, scaled by the range of its type; or raise `Unreadable`."""
    values = np.asarray(image)
    limit = limit_of(image.mode, integer_range)
    if limit is None or not (values.min() >= 0 and values.max() <= limit):
        raise Unreadable(out_of_range(image.mode, values.min(), values.max()))
    return Image.fromarray(np.round(values * (255 / limit)).astype(np.uint8))


def limit_of(mode, integer_range):
    """Return the largest value of wide pixels of a mode; `integer_range` is that of 32-bit integers."""
    return {"F": 1.0, "I": integer_range}.get(mode, SIXTEEN_BITS)


def out_of_range(mode, low, high):
    """Say that values of a mode, from low to high, have no known range."""
    kind, expected = ("floats", "0 to 1") if mode == "F" else ("integers", "0 to 255 or 0 to 65,535, the same for all images")
    return f"32-bit {kind}, mode {mode}, with values from {low:g} to {high:g}; expected {expected}"


def on_background(image, mode, background):
    """Return an image in mode "L" or "RGB", its transparent pixels on a background (red, green, blue), or ignored with None."""
    if image.mode == "LAB":
        lab, rgb = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
        image = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    image = straight(image)
    if background is not None and image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, background)
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    return image.convert(mode) if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else image.convert("RGB").convert(mode)


def fitted(image, size, preparation):
    """Return an image of another size, (width, height), as `preparation.resize` says."""
    if preparation.resize == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    if preparation.resize == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    inner = size_within(image.size, size)
    framed = Image.new(image.mode, size, hexadecimal(preparation.border))
    framed.paste(image.resize(inner, Image.Resampling.LANCZOS), tuple((outside - inside) // 2 for outside, inside in zip(size, inner)))
    return framed


def size_within(size, outer):
    """Return the largest size (width, height) of the same shape within another, of at least one pixel."""
    scale = min(outside / side for side, outside in zip(size, outer))
    return tuple(max(1, round(side * scale)) for side in size)
