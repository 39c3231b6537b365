"""One image file to an array of bytes: its orientation, depth, transparency and colours. `docs/images.md` has every format.

Pixels of 8 bits stay as they are. Wider pixels are scaled to 8 bits by the range of their type. The types of 32-bit integers and of floats
give no range; there the values must show it.
"""

import dataclasses
import re
import struct
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import reason

# Pillow warns of malformed metadata, which do not matter here. Files are read in threads, which share the filters of the process.
warnings.filterwarnings("ignore", module=r"PIL\.")

ORIENTATION, PHOTOMETRIC = 0x0112, 0x0106  # tags of EXIF and TIFF
TRANSPOSITIONS = {  # EXIF 2.32, section 4.6.4
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_BITS = 65_535


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


def facts_of(path):
    """Return the `Facts` of an image file, or raise `Unreadable`."""
    image, animated = opened(path)
    low, high = 0.0, 0.0
    if is_wide(image):
        values = np.asarray(image)
        if not np.all(np.isfinite(values)):
            raise Unreadable("32-bit floats, mode F, some of them NaN or infinite; expected 0 to 1")
        low, high = float(values.min()), float(values.max())
    transparent = image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255
    return Facts(image.size, image.mode, is_grey(image), transparent, animated, low, high)


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
    image, _ = opened(path)
    if is_wide(image):
        image = in_bytes(image, integer_range)
    image = on_background(image, "L" if channels == 1 else "RGB", preparation.background)
    if image.size != (width, height):
        image = fitted(image, (width, height), preparation)
    return np.asarray(image, np.uint8).reshape(image_shape)


def opened(path):
    """Return the first frame of an image file, upright and decoded, and whether the file has more frames; or raise `Unreadable`."""
    try:
        with Image.open(path) as image:
            load(image)
            method, animated = TRANSPOSITIONS.get(orientation_of(image)), is_animated(image)
            negative = image.format == "TIFF" and image.mode.startswith("I;16") and image.tag_v2.get(PHOTOMETRIC) == 0
            sixteen = image.format == "PNG" and image.mode == "I"  # so Pillow before version 11 reads a PNG of 16 bits
            upright = image if method is None else image.transpose(method)
            upright.load()  # before the file is closed: to look for further frames goes back to its beginning
    except UnidentifiedImageError:
        raise Unreadable("not an image, or damaged at its beginning") from None
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise Unreadable(getattr(error, "strerror", None) or reason(error)) from None
    if negative or sixteen:
        values = np.asarray(upright).astype(np.uint16)
        upright = Image.fromarray(SIXTEEN_BITS - values if negative else values)
    return upright, animated


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
                return struct.unpack_from(order + ("I" if kind == 4 else "H"), block, first + 10 + 12 * i)[0]
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


def is_grey(image):
    """Return whether an image has only grey pixels by its mode, or by the colours of its palette that show."""
    if image.mode not in ("P", "PA"):
        return image.mode in ("1", "L", "LA", "La") or is_wide(image)
    red, green, blue, opacity = np.moveaxis(np.asarray(image.convert("RGBA")), -1, 0)
    return not np.any(((red != green) | (green != blue)) & (opacity > 0))


def in_bytes(image, integer_range):
    """Return an image of wider pixels in 8 bits, scaled by the range of its type; or raise `Unreadable`."""
    values = np.asarray(image)
    limit = {"F": 1.0, "I": integer_range}.get(image.mode, SIXTEEN_BITS)
    if limit is None or not (values.min() >= 0 and values.max() <= limit):
        raise Unreadable(out_of_range(image.mode, values.min(), values.max()))
    return Image.fromarray(np.round(values * (255 / limit)).astype(np.uint8))


def out_of_range(mode, low, high):
    """Say that values of a mode, from low to high, have no known range."""
    kind, expected = ("floats", "0 to 1") if mode == "F" else ("integers", "0 to 255 or 0 to 65,535, the same for all images")
    return f"32-bit {kind}, mode {mode}, with values from {low:g} to {high:g}; expected {expected}"


def on_background(image, mode, background):
    """Return an image in mode "L" or "RGB", its transparent pixels on a background (red, green, blue), or ignored with None."""
    if image.mode == "LAB":
        lab, rgb = (ImageCms.createProfile(space) for space in ("LAB", "sRGB"))
        image = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
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
    return ImageOps.pad(image, size, Image.Resampling.LANCZOS, "#{:02x}{:02x}{:02x}".format(*preparation.border))
