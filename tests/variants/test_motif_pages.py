"""Pictures and the page of filters."""

import base64
import dataclasses
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from deepcpg_tf.variants.filters import Filters
from deepcpg_tf.variants.meme import correlations_text, filters_text, matches_text
from deepcpg_tf.variants.motif_page import density_svg, page_html, weights_svg
from deepcpg_tf.variants.motif_pictures import (
    components_figure,
    correlations_figure,
    information,
    logo_figure,
    picture,
)
from deepcpg_tf.variants.motifs import filter_motifs
from deepcpg_tf.variants.roles import BINS, FilterRoles
from deepcpg_tf.variants.similarity import Match

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def motifs():
    """Motifs of three filters, the last of which is dead."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(5, 4, 3)).astype(np.float32)
    filters = Filters(kernel, np.array([0, 0, -99], np.float32))
    found = filter_motifs(filters, [rng.integers(0, 4, (200, 31), np.uint8)])
    nan = np.nan
    roles = FilterRoles(
        cells=("one", "<two>"),
        importance=np.array([-0.2, 0.5, 0.0]),
        measure="log_loss",
        predictions=np.array([[0.1, 0.3], [-0.5, nan], [nan, nan]]),
        labels=np.array([[0.2, nan], [0.1, 0.1], [nan, nan]]),
        components=rng.normal(size=(3, 2)),
        explained=np.array([0.7, 0.2]),
        densities=rng.integers(0, 9, (3, BINS)) * np.array([[1], [1], [0]]),
        largest=np.array([2.0, 3.0, 0.0]),
        silent=np.array([0.5, 0.5, 1.0]),
        windows=200,
        silenced=20,
    )
    matches = (
        Match(1, "MA1", "CTCF & <more>", 1e-9, 2e-7, -1, 4, "-"),
        Match(1, "MA2", "", 1e-4, 1e-2, 0, 5, "+"),
    )
    return dataclasses.replace(found, roles=roles, matches=matches)


def rows(text):
    return [line.split("\t") for line in text.splitlines()]


def test_tables(motifs):
    header, *own = rows(filters_text(motifs))
    filters = [dict(zip(header, row, strict=True)) for row in own]
    assert [row["filter"] for row in filters] == ["filter1", "filter2", "filter0"]
    assert filters[0]["importance"] == "0.5"
    assert filters[0]["mean_prediction"] == "-0.5000"
    assert filters[0]["mean_label"] == "0.1000"
    assert (filters[0]["match"], filters[0]["q_value"]) == ("MA1", "2e-07")
    assert (filters[1]["mean_prediction"], filters[1]["match"]) == ("", "")
    assert filters[1]["sites"] == "0"
    own = rows(correlations_text(motifs))
    assert own[1:3] == [
        ["filter0", "one", "0.1000", "0.2000"],
        ["filter0", "<two>", "0.3000", ""],
    ]
    assert rows(matches_text(motifs.matches, motifs.filters))[1] == [
        "filter1", "MA1", "CTCF & <more>", "1e-09", "2e-07", "-1", "4", "-",
    ]  # fmt: skip


def test_letters_are_as_high_as_a_position_is_sure():
    heights = information(np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]], np.float32))
    assert heights == pytest.approx(np.array([[2, 0, 0, 0], [0] * 4, [0.5, 0.5, 0, 0]]))


def test_pictures_are_the_same_each_time(motifs):
    for draw in (
        lambda: logo_figure(motifs.values[0]),
        lambda: components_figure(motifs.roles, motifs),
        lambda: correlations_figure(motifs.roles),
        lambda: correlations_figure(dataclasses.replace(motifs.roles, labels=None)),
    ):
        figure = draw()
        svg = picture(figure, "svg")
        assert ET.fromstring(svg).tag.endswith("svg")
        assert svg == picture(draw(), "svg")
        assert picture(figure, "png").startswith(PNG)


def test_maps_and_densities_of_a_filter():
    weights = np.array([[1, -1, 0, 0.5]], np.float32)
    root = ET.fromstring(weights_svg(weights))
    colours = [one.get("fill") for one in root if one.tag.endswith("rect")]
    assert colours == ["#b2182b", "#2166ac", "#ffffff", "#d88c95"]
    root = ET.fromstring(density_svg(np.array([4, 0, 1])))
    assert [one.get("height") for one in root] == ["40.0", "20.0"]
    assert len(ET.fromstring(density_svg(np.zeros(3, int)))) == 0


class Tags(HTMLParser):
    """Remembers tags, what they point to, and whether each is closed in its place."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br", "img", "rect"):
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_holds_everything(motifs):
    logos = {i: picture(logo_figure(motifs.values[i]), "png") for i in motifs.found}
    page = page_html(motifs, {"model": "<m>", "database": "x"}, logos, {"All & more": PNG})
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    images = [base64.b64decode(one.partition("base64,")[2]) for one in tags.sources]
    assert images == [logos[1], logos[0], PNG]
    assert all(one.startswith("data:image/png;base64,") for one in tags.sources)
    text = " ".join(tags.texts)
    for expected in ("<m>", "All & more", "CTCF & <more>", "no motif", "0.200 to 0.200"):
        assert expected in text
    assert "2 of 3 filters have a motif" in text
    assert "by how much the log-loss of the labels grows" in text
    assert re.findall(r"filter\d(?=<br>)", page) == ["filter1", "filter2", "filter0"]


def test_a_page_without_labels_and_database_says_so(motifs):
    roles = dataclasses.replace(motifs.roles, labels=None, measure="probability")
    other = dataclasses.replace(motifs, roles=roles, matches=())
    page = page_html(other, {}, {}, {})
    assert "There were no labels" in page
    assert "<th>labels</th>" not in page
    assert "<th>match</th>" not in page
    assert page.count("no motif") == 3
