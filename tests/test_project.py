"""What is said of the project in several places is the same in all."""

import configparser
import re

import yaml

from tests.shell import README, ROOT

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_the_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    metadata = SETUP["metadata"]
    assert citation["version"] == metadata["version"]
    assert citation["license"] == metadata["license"]
    assert citation["preferred-citation"]["doi"] in README


def test_pre_commit_checks_what_make_lint_checks():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["entry"].split(" --")[0].removeprefix(".venv/bin/") for hook in repo["hooks"]}
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    lines = [line.strip().removeprefix("@$(BIN)/") for line in recipe.splitlines()]
    assert {line.split(" --")[0].removesuffix(" .") for line in lines} == hooks


def test_the_extra_all_has_every_extra():
    extras = dict(SETUP["options.extras_require"])
    (everything,) = extras.pop("all").split()
    extras.pop("dev")
    extras.pop("modisco")  # a program that reads what we write
    extras.pop("jaspar")  # motifs of others, of many years
    assert everything == f"deepcpg-tf[{','.join(sorted(extras))}]"


def test_commands_of_make_are_there():
    """Those that the pages name."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md"):
        named = set(re.findall(r"`make ([a-z-]+)`", (ROOT / page).read_text()))
        assert named <= targets, page
