"""What a network may be made of. Units stand in the field's name or description; nothing here imports torch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pskd_core.fields import Fraction, Frozen


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be odd, so that a window has a middle")
    return value


Kernel = Annotated[int, Field(ge=3, le=63, description="samples; odd"), AfterValidator(_odd)]
Dropout = Annotated[Fraction, Field(description="before fc0")]
Magnitude = Annotated[bool, Field(description="add each sensor's vector magnitude as an input channel")]


# --- Over the skeleton, with or without worn sensors --------------------------------------------------------------


class Agcn(Frozen):
    """Adaptive graph convolutional network over the skeleton (2s-AGCN). Paper: width 64, depth 10."""

    kind: Literal["agcn"] = "agcn"
    width: int = Field(default=16, ge=4, le=256, description="channels of the first stage; later stages double it")
    depth: int = Field(default=8, ge=3, le=20, description="blocks in all")
    temporal_kernel: Annotated[int, Field(ge=1, le=31, description="frames; odd"), AfterValidator(_odd)] = 9
    dropout: Dropout = 0.0
    stream: Literal["joint", "bone"] = Field(
        default="joint", description="what stands at a joint: its place, or the vector to it from its parent"
    )
    fusion: Literal["channel", "node", "node_center", "late"] = Field(
        default="channel",
        description="how worn sensors join: as channels of every joint; as graph nodes tied to the joint that they are "
        "worn at, or to the centre; or behind the graph, from a resnet1d of their own",
    )


# --- Over worn sensors --------------------------------------------------------------------------------------------


class ResNet1d(Frozen):
    """Residual 1-D convolutional network over sensor samples."""

    kind: Literal["resnet1d"] = "resnet1d"
    width: int = Field(default=32, ge=4, le=512, description="channels of the first stage; later stages double it")
    blocks: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(default=(1, 1, 1), min_length=1, max_length=5)
    kernel: Annotated[int, Field(ge=3, le=31, description="samples; odd"), AfterValidator(_odd)] = 7
    dropout: Dropout = 0.2
    magnitude: Magnitude = False


class Inception1d(Frozen):
    """Multi-scale 1-D network (InceptionTime). Published: width 32, depth 6, kernels 10, 20 and 40."""

    kind: Literal["inception1d"] = "inception1d"
    width: int = Field(default=16, ge=4, le=128, description="channels of a branch; a block has one more than kernels")
    depth: int = Field(default=6, ge=1, le=12, description="blocks; after every third a shortcut joins")
    kernels: tuple[Kernel, ...] = Field(default=(9, 19, 39), min_length=1, max_length=6, description="samples; odd")
    dropout: Dropout = 0.2
    magnitude: Magnitude = False


class DeepConvLstm(Frozen):
    """Convolutions alike for every channel, then one LSTM layer over their features (DeepConvLSTM)."""

    kind: Literal["deepconvlstm"] = "deepconvlstm"
    width: int = Field(default=64, ge=4, le=256, description="filters of each convolution")
    depth: int = Field(default=4, ge=1, le=8, description="convolutions")
    kernel: Kernel = 5
    hidden: int = Field(default=128, ge=4, le=1024, description="units of the LSTM")
    attention: bool = Field(default=False, description="weigh the LSTM's states by self-attention; else all alike")
    dropout: Dropout = 0.2
    magnitude: Magnitude = False


class GafResNet18(Frozen):
    """ResNet-18 from scratch over Gramian angular fields, one image a channel. Published width: 64."""

    kind: Literal["gaf_resnet18"] = "gaf_resnet18"
    field: Literal["gadf", "gasf", "both"] = Field(default="gadf", description="difference or summation field, or both")
    image: int = Field(default=64, ge=16, le=256, description="height and width; the clip is averaged to as many steps")
    width: int = Field(default=64, ge=4, le=128, description="channels of the first stage; later stages double it")
    dropout: Dropout = 0.2
    magnitude: Magnitude = False


class Tiny(Frozen):
    """Depthwise separable 1-D network for a watch: below 50 000 parameters at a feature width of 128."""

    kind: Literal["tiny"] = "tiny"
    width: int = Field(default=16, ge=4, le=24, description="channels of the stem; two later stages double it")
    kernel: Kernel = 7
    dropout: Dropout = 0.1
    magnitude: Magnitude = False


class RandomForest(Frozen):
    """A random forest over hand features of each sensor: the classical baseline, fitted once and without steps."""

    kind: Literal["random_forest"] = "random_forest"
    trees: int = Field(default=300, ge=1, le=5000)
    smallest_leaf: int = Field(default=1, ge=1, le=1000, description="training clips in a leaf, at least")


Sensors = ResNet1d | Inception1d | DeepConvLstm | GafResNet18 | Tiny
Backbone = Annotated[Agcn | Sensors | RandomForest, Field(discriminator="kind")]
