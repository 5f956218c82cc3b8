"""BVH: the tree, the order of rotations, and files that are not what they say."""

import numpy as np
import pytest

from pskd_core.data.bvh import read_bvh
from pskd_core.errors import DataError

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Arm
  {
    OFFSET 0.0 10.0 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 5.0 0.0 0.0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0020833
1 2 3 0 0 0 0 0 0
1 2 3 90 0 0 0 0 90
"""


def test_forward_kinematics() -> None:
    """At rest offsets add up; turned by 90° about z the arm points to −x, and its end, turned about y first, to −z…"""
    motion = read_bvh(ARM, file="arm.bvh", end_sites=True)
    assert motion.joints == ("Hips", "Arm", "Arm end")
    assert motion.bones == ((1, 0), (2, 1))
    assert motion.rate_hz == pytest.approx(480, rel=1e-3)
    at_rest, turned = motion.positions
    assert at_rest.tolist() == [[1, 2, 3], [1, 12, 3], [6, 12, 3]]
    # Rz(90)·(0, 10, 0) = (−10, 0, 0); Rz(90)·Ry(90)·(5, 0, 0) = Rz(90)·(0, 0, −5) = (0, 0, −5).
    assert turned == pytest.approx(np.array([[1, 2, 3], [-9, 2, 3], [-9, 2, -2]]))


def test_end_sites_are_left_out_unless_wanted() -> None:
    assert read_bvh(ARM, file="arm.bvh").positions.shape == (2, 2, 3)


def test_rotations_multiply_in_the_order_of_the_channels() -> None:
    """Z then X on (0, 10, 0): Rz(90)·Rx(90)·y = Rz(90)·z = z; the other order gives −x."""
    text = ARM.replace("1 2 3 90 0 0 0 0 90", "0 0 0 90 90 0 0 0 0")
    assert read_bvh(text, file="arm.bvh").positions[1, 1] == pytest.approx([0, 0, 10])
    swapped = text.replace("Zposition Zrotation Xrotation", "Zposition Xrotation Zrotation")
    assert read_bvh(swapped, file="arm.bvh").positions[1, 1] == pytest.approx([-10, 0, 0])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HIERARCHY", "SOMETHING", "needs the parts HIERARCHY and MOTION"),
        ("    OFFSET 5.0 0.0 0.0", "      OFFSET 5.0 zero 0.0", "cannot stand here"),
        ("CHANNELS 3 Z", "CHANNELS 4 Z", "row 9: 'CHANNELS 4"),
        ("JOINT Arm", "BONE Arm", "row 6: 'BONE Arm' is not understood"),
        ("Frames: 2", "Frames: 3", "3 frames of 9 channels are announced, and 18 values follow"),
        ("Frames: 2", "Frames: " + "9" * 5000, "Frames:"),
        ("Frame Time: 0.0020833", "Frame Time: 0", "Frame Time"),
        ("Frame Time: 0.0020833", "Frame Time: e-", "Frame Time"),
        ("OFFSET 0.0 10.0 0.0", "OFFSET 0.0 nan 0.0", "row 8: 'OFFSET 0.0 nan 0.0' cannot stand here"),
        ("1 2 3 90", "1 2 x 90", "no number"),
        ("1 2 3 90", "1 2 nan 90", "row 20: a value is not finite"),
        ("1 2 3 90", "1 2 1e300 90", "row 20: a value is not finite"),
        ("}\nMOTION", "MOTION", "not closed"),
    ],
)
def test_faults_are_named(old: str, new: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_bvh(ARM.replace(old, new), file="arm.bvh")
