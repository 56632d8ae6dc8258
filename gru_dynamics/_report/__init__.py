"""Floor 9: what an analysis found, as JSON, as sentences and as a page."""

from ._analysis import Analysis as Analysis, Point as Point
from ._collect import collect as collect, versions as versions
from ._gallery import Card as Card, Chapter as Chapter, Shot as Shot, gallery as gallery
from ._page import Picture as Picture, page as page
from ._words import story as story
