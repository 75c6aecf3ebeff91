"""MNIST's measures, in pixels, and what pictures are here."""

import numpy as np
from numpy.typing import NDArray

SIDE, BOX_SIDE, CENTRE = 28, 20, 14

Grey = NDArray[np.uint8]
Map = NDArray[np.float32]
