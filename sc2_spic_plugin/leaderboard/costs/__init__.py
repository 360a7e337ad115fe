"""What a point costs beside its bits: encoder size, operations and latency of device and server."""

from .latency import Latency
from .point_costs import Costs, measure_costs

__all__ = ["Costs", "Latency", "measure_costs"]
