"""The plot of accuracy over rate."""

from .looks import curve_dashes, curve_legend, image_pixels, is_curve
from .plot import check_plot_path, plot_rate_accuracy

__all__ = ["check_plot_path", "curve_dashes", "curve_legend", "image_pixels", "is_curve", "plot_rate_accuracy"]
