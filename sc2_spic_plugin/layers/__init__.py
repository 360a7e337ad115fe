"""The bottleneck unit and what it is made of; needs torch only."""

from .geometry import CoveringGeometry, Geometry, PublishedGeometry, published_geometry
from .quantizer import UniformQuantizer
from .topologies import TOPOLOGIES
from .unit import BottleneckUnit, UnitOutput

__all__ = [
    "TOPOLOGIES",
    "BottleneckUnit",
    "CoveringGeometry",
    "Geometry",
    "PublishedGeometry",
    "UniformQuantizer",
    "UnitOutput",
    "published_geometry",
]
