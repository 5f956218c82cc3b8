"""The letters of every shape in this package.

N batch, C channels, T frames, V joints, S sensors, K classes, D feature width, m teachers.
"""

from typing import Annotated

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SensorClips = Annotated[FloatArray, "(N, 3·S, T)"]
SkeletonClips = Annotated[FloatArray, "(N, 3, T, V)"]
Logits = Annotated[FloatArray, "(N, K)"]
