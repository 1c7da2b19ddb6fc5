"""Other observations, made of the picture."""

import numpy as np

from .compiled import compiled

SIZE = 96  # rows and columns of the stock's observation
PAPER = 84  # rows and columns of what the paper's network sees
RIGHT_PARTS = (np.arange(3 * 7) // 3 + 1).astype(np.float32)  # of seven of the paper's pixels, three channels each
LEFT_PARTS = 8 - RIGHT_PARTS


@compiled
def paper(picture, small):
    """The paper's input: a picture [96, 96, 3] resized by area to [84, 84, 3] float32 in [0, 1], in place.

    A pixel spans 8/7 of the larger picture's: of each 8 rows, row j of 7 takes 7 - j parts of row j and j + 1 parts of
    the next. Sums of parts are whole numbers, which float32 holds exactly.
    """
    scale, eight = 1.0 / (64 * 255), np.float32(8)
    pixels, means = picture.reshape(SIZE, -1), small.reshape(PAPER, -1)
    line = np.empty(3 * SIZE, np.float32)
    for row in range(PAPER):
        y, under = row + row // 7, np.float32(row % 7 + 1)
        for place in range(3 * SIZE):
            line[place] = (eight - under) * np.float32(pixels[y, place]) + under * np.float32(pixels[y + 1, place])
        for group in range(PAPER // 7):
            for place in range(3 * 7):
                here = 3 * 8 * group + place
                total = LEFT_PARTS[place] * line[here] + RIGHT_PARTS[place] * line[here + 3]
                means[row, 3 * 7 * group + place] = total * scale


@compiled
def grey(picture, light):
    """Lightness [R, C] of a picture [R, C, 3], in place: as Gymnasium's ``GrayscaleObservation``, rounded down."""
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            red, green, blue = picture[row, column]
            light[row, column] = np.uint8(0.2125 * red + 0.7154 * green + 0.0721 * blue)


@compiled
def paper_all(rows, pictures, small):
    """The same of the pictures ``rows`` [n]."""
    for row in rows:
        paper(pictures[row], small[row])


@compiled
def grey_all(rows, pictures, light):
    """The same of the pictures ``rows`` [n]; ``light`` [N, R, C, 1]."""
    for row in rows:
        grey(pictures[row], light[row, :, :, 0])
