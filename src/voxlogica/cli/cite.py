"""`voxlogica cite`. The words are those of CITATION.cff, which is no part of the package: a test compares them."""

from __future__ import annotations

from voxlogica._version import VERSION
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import emit

TITLE = "VoxLogicA: A Spatial Model Checker for Declarative Image Analysis"
AUTHORS = (("Gina", "Belmonte"), ("Vincenzo", "Ciancia"), ("Diego", "Latella"), ("Mieke", "Massink"))
BOOK = "Tools and Algorithms for the Construction and Analysis of Systems (TACAS 2019)"
SERIES, PUBLISHER, YEAR = "Lecture Notes in Computer Science", "Springer", 2019
VOLUME, PAGES = 11427, (281, 298)
DOI = "10.1007/978-3-030-17462-0_16"


def cite(options: Options) -> int:
    """Says how to cite."""
    if options.json:
        emit({
            "title": TITLE, "authors": [{"given": given, "family": family} for given, family in AUTHORS],
            "book": BOOK, "series": SERIES, "volume": VOLUME, "pages": list(PAGES), "publisher": PUBLISHER,
            "year": YEAR, "doi": DOI, "software": {"title": "VoxLogicA", "version": VERSION},
        })  # fmt: skip
    else:
        print(_bibtex() if options.bibtex else _plain())
    return 0


def _plain() -> str:
    authors = ", ".join(f"{given[0]}. {family}" for given, family in AUTHORS)
    return f"""If you use VoxLogicA in a publication, please cite

  {authors}:
  {TITLE}.
  {BOOK}.
  {SERIES} {VOLUME}, pages {PAGES[0]}–{PAGES[1]}, {PUBLISHER}, {YEAR}.
  https://doi.org/{DOI}

and say which version you used: VoxLogicA {VERSION}."""


def _bibtex() -> str:
    authors = " and ".join(f"{family}, {given}" for given, family in AUTHORS)
    return f"""@inproceedings{{voxlogica,
  author    = {{{authors}}},
  title     = {{{TITLE.replace("VoxLogicA", "{VoxLogicA}")}}},
  booktitle = {{{BOOK}}},
  series    = {{{SERIES}}},
  volume    = {{{VOLUME}}},
  pages     = {{{PAGES[0]}--{PAGES[1]}}},
  publisher = {{{PUBLISHER}}},
  year      = {{{YEAR}}},
  doi       = {{{DOI}}},
  note      = {{Software version {VERSION}}}
}}"""
