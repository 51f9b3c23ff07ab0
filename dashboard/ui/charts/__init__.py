"""Charts as SVG, drawn at the server: pure functions from numbers to markup; `ui/charts.html` shows them in pages."""

from dashboard.ui.charts.bars import bars
from dashboard.ui.charts.lines import lines
from dashboard.ui.charts.shares import Part, Row, shares
from dashboard.ui.charts.shown import Chart, Series

__all__ = ["Chart", "Part", "Row", "Series", "bars", "lines", "shares"]
