import re

import pytest

from benchmarks import mutagenesis
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from tests import tolerances


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WINDOWS": 2, "WHOLE": 24, "BATCH": 8, "ROUNDS": 1}.items():
            patch.setattr(mutagenesis, name, value)
        patch.setattr(mutagenesis, "ARCHITECTURES", {"CnnL1h128": 3})
        yield mutagenesis.run()


def test_both_give_the_same(result):
    (found,) = result["models"].values()
    config = DeepCpgDnaConfig.from_architecture("CnnL1h128")
    assert found["difference"] <= 2 * tolerances.logits(config, 1.0)
    assert (found["cells"], found["substitutions"]) == (3, 3003)


def test_the_requirement_is_of_the_faster_way_with_whole_windows(result):
    (found,) = result["models"].values()
    rates = {name: values["median"] for name, values in found["rates"].items()}
    best = max(rates[mutagenesis.GRAPH], rates[mutagenesis.XLA])
    required = result["requirement"]
    assert required["reached"] == pytest.approx(rates[mutagenesis.OURS] / best, rel=1e-3)
    assert required["at_least"] == 20
    assert required["met"] == (required["reached"] >= 20)


def test_the_report(result):
    text = mutagenesis.report(result)
    assert "CnnL1h128, 3 cells; the largest difference is" in text
    for name in (mutagenesis.OURS, mutagenesis.ONE, mutagenesis.GRAPH, mutagenesis.XLA):
        assert re.search(rf"^\| {name} \| [\d,.]+ \(", text, re.MULTILINE)
    assert "Required: at least 20 times the substitutions a second of whole windows" in text
