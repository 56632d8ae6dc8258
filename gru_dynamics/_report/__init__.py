"""Floor 10: what an analysis found, as JSON, as sentences and as a page."""

from ._analysis import Analysis as Analysis, Point as Point
from ._collect import collect as collect, versions as versions
from ._page import Picture as Picture, page as page
from ._words import story as story
