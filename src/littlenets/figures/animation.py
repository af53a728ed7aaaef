"""Pictures one after another as an animated GIF."""

import io
from collections.abc import Sequence

from PIL import Image

MILLISECONDS = 700
# Long enough to look at what came of it.
LAST_MILLISECONDS = 3000


def gif(frames: Sequence[bytes]) -> bytes:
    """An endless GIF of PNG pictures of one size, the last of which stays longer."""
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    # One palette for all frames, so that nothing flickers, of the colours of all of them.
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
