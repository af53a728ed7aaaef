"""Combine pictures into an animated GIF."""

import io
from collections.abc import Sequence

from PIL import Image

MILLISECONDS = 700
# The last picture stays long enough to look at the result.
LAST_MILLISECONDS = 3000


def gif(frames: Sequence[bytes]) -> bytes:
    """Return an endlessly repeated GIF of PNG pictures with the same size; the last picture is shown longer."""
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    # Use one palette, made from the colours of all frames, so that nothing flickers.
    width, height = (max(1, side // 4) for side in pictures[0].size)
    together = Image.new("RGB", (width, height * len(pictures)))
    for number, picture in enumerate(pictures):
        together.paste(picture.resize((width, height), Image.Resampling.NEAREST), (0, height * number))
    palette = together.quantize(256, dither=Image.Dither.NONE)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    file = io.BytesIO()
    durations = [MILLISECONDS] * len(others) + [LAST_MILLISECONDS]
    first.save(file, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return file.getvalue()
