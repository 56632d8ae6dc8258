"""Floor 9: what an analysis found, as JSON, as sentences and as a page."""

from ._analysis import Analysis as Analysis, Point as Point
from ._collect import collect as collect, versions as versions
from ._collect_continuation import collect_continuation as collect_continuation
from ._continuation import (
    Continuation as Continuation,
    Course as Course,
    Special as Special,
)
from ._continuation_page import continuation_page as continuation_page
from ._gallery import Card as Card, Chapter as Chapter, Shot as Shot, gallery as gallery
from ._page import Picture as Picture, page as page
from ._words import story as story
