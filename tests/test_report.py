"""The report: facts, sentences and page from a list of points built by hand."""

import dataclasses
import html.parser
import json
import math
import re

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import gru_dynamics as gd
from gru_dynamics._report import Analysis, Picture, Point, collect, page, story

h = 0.9575040240772688  # h = tanh(2 h)
SYSTEM = {"kind": "map", "cell": "GRUCell", "hidden_size": 2, "input_size": 1, "input": None, "file": "x.npz"}


def point(kind: str, unstable: int, leading: complex, **more) -> Point:
    values = np.array([leading, 0.1], complex)
    index = -1 if unstable % 2 else 1
    return Point(np.zeros(2), kind, kind, unstable, values, 1e-16, index, 3, **more)


def analysis(points, *, index_sum=1, complete="consistent", warnings=(), **system) -> Analysis:
    return Analysis("title", {**SYSTEM, **system}, tuple(points), index_sum, complete, {}, {}, tuple(warnings), {})


def bistable(**more) -> Analysis:
    sinks = [point("sink", 0, 0.5, readout=np.array([sign])) for sign in (-1.02, 0.98)]
    return analysis([*sinks, point("saddle", 1, 1.5, readout=np.array([0.1]), leads_to=(0, 1))], **more)


def test_time_constants_and_periods_in_closed_form():
    decaying, rotating = point("sink", 0, math.exp(-1 / 7)), point("sink", 0, 0.5j)
    assert decaying.time_constant(True) == pytest.approx(7)
    assert decaying.period(True) is None
    assert rotating.period(True) == pytest.approx(4)  # a quarter turn at each step
    assert point("source", 2, math.exp(1 / 3)).time_constant(True) == pytest.approx(-3)
    assert point("sink", 0, -0.25 + 2j).time_constant(False) == pytest.approx(4)
    assert point("sink", 0, -0.25 + 2j).period(False) == pytest.approx(math.pi)
    assert point("degenerate", 0, 1.0).time_constant(True) == math.inf


def test_json_follows_the_schema():
    facts = json.loads(json.dumps(bistable().as_dict(), allow_nan=False))
    assert {"system", "fixed_points", "index_sum", "complete", "warnings"} <= set(facts)
    first, _, saddle = facts["fixed_points"]
    assert {"state", "kind", "unstable_dim", "eigenvalues", "residual"} <= set(first)
    assert first["eigenvalues"][0] == [0.5, 0.0]
    assert saddle["leads_to"] == [0, 1]
    neutral = analysis([point("degenerate", 0, 1.0)]).as_dict()["fixed_points"][0]
    assert neutral["time_constant"] is None


@pytest.fixture(scope="module")
def points():
    """Nine points `(+-h, 0, +-h)^2`, closed form, in a list with room for twelve."""
    grid = np.array([[a, b] for a in (-h, 0, h) for b in (-h, 0, h)])
    return gd.find_fixed_points(gd.library.decoupled_tanh(2), grid, key=jr.key(0), max_points=12)


def test_collect_reads_the_arrays(points):
    facts = collect("t", SYSTEM, points, readout=np.asarray(points.state) / h, leads_to={4: (0, 1)})
    assert [p.kind for p in facts.points] == ["sink"] * 4 + ["saddle"] * 4 + ["source"]
    assert facts.points[4].leads_to == (0, 1)
    assert facts.index_sum == 1
    assert facts.complete == "consistent"
    assert facts.warnings == ()
    sink = facts.points[0]
    assert sink.time_constant(True) == pytest.approx(-1 / math.log(2 * (1 - h**2)))
    np.testing.assert_allclose(np.abs(sink.readout), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"result": gd.RESULTS.max_points_reached}, "--max-points"),
        ({"result": gd.RESULTS.no_fixed_point}, "No guess converged"),
        ({"complete": jnp.asarray(gd.Completeness.INCOMPLETE, jnp.int32)}, "points may be missing"),
        ({"kind": jnp.full(12, gd.Kind.DEGENERATE, jnp.int32)}, "12 degenerate points"),
    ],
)
def test_collect_warns(points, change, words):
    changed = dataclasses.replace(points, **change)
    texts = collect("t", SYSTEM, changed, warnings=("mine",)).warnings
    assert len(texts) == 2
    assert texts[0] == "mine"
    assert words in texts[1]


def test_story_counts_and_reads_the_bits():
    text = " ".join(story(bistable()))
    assert "GRU with two units" in text
    assert "three fixed points" in text
    assert "Two are sinks" in text
    assert "1.44 steps" in text  # 1 / ln 2
    assert "One saddle has one unstable direction" in text
    assert "flips one bit" in text
    assert "(-1), (+1)" in text
    assert "sum to +1" in text


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (analysis([point("source", 2, 1.5)]), ["None of them is a sink", "One is a source"]),
        (analysis([], index_sum=0, complete="unknown"), ["none was found.", "nothing to check the list against"]),
        (bistable(index_sum=2, complete="incomplete"), ["At least one point is missing"]),
        (bistable(index_sum=-1, complete="incomplete"), ["At least two points are missing"]),
        (bistable(index_sum=1, complete="incomplete"), ["the list is cut"]),
        (bistable(complete="certified"), ["that is proven"]),
        (analysis([point("degenerate", 0, 1.0)], index_sum=0, complete="incomplete"), ["leaves the sum open"]),
        (analysis([point("sink", 0, 0.5j)]), ["oscillates while it fades, with a period of 4 steps"]),
        (analysis([point("sink", 0, 0.5)], kind="flow", tau=1.0), ["a flow in continuous time", "units of time"]),
        (analysis([point("sink", 0, 0.5)], input=[0.3]), ["input held constant"]),
        (analysis([point("saddle", 2, 1.5)]), ["One saddle has more than one unstable direction"]),
    ],
)
def test_story_cases(case, words):
    text = " ".join(story(case))
    assert all(word in text for word in words), text
    assert not re.search(r"[{}]|None of them are|  ", text)


class Reader(html.parser.HTMLParser):
    """Tags that are open, and everything that a page would fetch."""

    def __init__(self):
        html.parser.HTMLParser.__init__(self)
        self.open, self.sources, self.rows, self.tags = [], [], 0, set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.rows += tag == "tr"
        self.sources += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img", "circle", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("meta", "img", "circle", "path", "br"):
            assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_page_is_whole_and_self_contained():
    text = page("t", [(bistable(), [Picture("a.png", b"\x89PNG", "caption")])], written="today")
    reader = read(text)
    assert reader.open == []
    assert reader.rows == 4
    assert reader.sources == ["data:image/png;base64,iVBORw=="]
    assert not reader.tags & {"script", "link", "iframe"}
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_page_escapes_everything():
    nasty = '<script>alert("x")</script>&.npz'
    picture = Picture(nasty, b"", nasty)
    text = page(nasty, [(bistable(file=nasty, warnings=[nasty]), [picture])] * 2, written=nasty)
    assert "<script" not in text
    assert "&lt;script&gt;alert(" in text
    assert read(text).open == []


def test_long_lists_are_cut_in_the_page_only():
    many = analysis([point("sink", 0, 0.5)] * 250)
    text = page("t", [(many, [])], written="today")
    assert read(text).rows == 201
    assert "50 more points" in text
    assert len(many.as_dict()["fixed_points"]) == 250
