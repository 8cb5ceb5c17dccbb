"""What every module must be able to do; a new one is whole when it passes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.registry import CONFIGS
from deepcpg_tf.errors import CheckpointError, ConfigError, InputError
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.inputs import take
from deepcpg_tf.models.base import array_specs
from deepcpg_tf.models.registry import MODELS, load_model, new_model
from deepcpg_tf.training.finetune import freeze, take_over
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.training.step import make_strategy
from deepcpg_tf.training.trainer import Parts, train_model
from deepcpg_tf.workflows.export import export
from tests import tolerances

CELLS = ("b", "a/c")
DNA = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8, 12),
    conv_kernel_sizes=(11, 3),
    conv_pool_sizes=(4, 2),
    bottleneck_size=16,
    cells=CELLS,
)
CPG = DeepCpgCpgConfig(neighbours=6, shared_size=5, recurrent_sizes=(3, 4), cells=CELLS)
MEAN = DeepCpgCpgConfig(neighbours=6, shared_size=5, recurrent_sizes=(), cells=CELLS)
JOINT = DeepCpgJointConfig(dna=DNA, cpg=CPG, joint_sizes=(7, 6), cells=CELLS)
SMALL = {
    "dna": DNA,
    "cpg": CPG,
    "cpg-mean": MEAN,
    "joint": JOINT,
    "local": LocalConfig(hidden_sizes=(7, 6)),
    "local-dna": LocalConfig(groups=("own", "site"), hidden_sizes=(5,), dna=DNA),
    "joint-0": dataclasses.replace(JOINT, cpg=MEAN, joint_sizes=(), layer_names=()),
}


@pytest.fixture(params=sorted(SMALL))
def config(request):
    return SMALL[request.param]


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture
def model(config):
    return random_weights(new_model(config))


def random_arrays(reads, n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        one.name: rng.integers(0, 5, (n, *one.shape)).astype(one.dtype)
        if one.dtype == "uint8"
        else rng.random((n, *one.shape)).astype(one.dtype)
        for one in reads
    }


class RandomExamples:
    """Sites in memory, whose label is told by their arrays."""

    chromosomes = ("1",)

    def __init__(self, config, n=96):
        self.reads, self.cells = config.reads, config.cells
        self.chromosome_ids, self.positions = np.zeros(n, np.int32), np.arange(n)
        self._arrays = random_arrays(self.reads, n)
        first = self._arrays[self.reads[0].name].reshape(n, -1).mean(axis=1)
        self._labels = np.repeat((first > np.median(first))[:, None], len(self.cells), axis=1)

    def prepare(self, *, hold):
        pass

    def arrays(self, indices):
        return take(self._arrays, indices)

    def labels(self, indices):
        return self._labels[indices].astype(np.int8)

    def origins(self):
        return {"arrays": "random"}


def test_every_module_is_here():
    assert {name.partition("-")[0] for name in SMALL} == MODELS.keys() == CONFIGS.keys()
    for module, cls in MODELS.items():
        assert CONFIGS[module] is cls.config_type
        assert cls.config_type.module == module


def test_the_configuration_comes_back(config):
    assert type(config).from_dict(config.to_dict()) == config
    assert type(config).from_json(config.to_json()) == config
    other = config.with_cells(("one",)).with_dropout(0.5)
    cells = config.cells if config.module == "local" else ("one",)  # one output for any cell
    assert (other.cells, other.num_labels) == (cells, 1)
    assert other != config


def test_weights_are_those_of_the_configuration(model):
    shapes = {name: tuple(v.shape) for name, v in model.variables_by_name.items()}
    assert shapes == model.config.tensor_shapes
    assert len(shapes) == len(model.weights)
    assert model.count_params() == model.config.num_parameters
    assert set(model.head_variables) <= shapes.keys()
    for name in model.head_variables:
        assert shapes[name][-1] == len(model.cells)


def test_names_of_variables_are_those_in_any_process(config, model):
    """Keras numbers layers within a process; no name may come from that."""
    assert list(new_model(config).state_by_name) == list(model.state_by_name)
    assert len(model.state_by_name) == len(model.variables)


def test_a_preset_comes_back(model, tmp_path):
    model.provenance = {"format": "a test"}
    model.save_to_preset(tmp_path / "preset")
    arrays = random_arrays(model.reads, 5)
    for loaded in (load_model(tmp_path / "preset"), type(model).from_preset(tmp_path / "preset")):
        assert type(loaded) is type(model)
        assert (loaded.config, loaded.provenance) == (model.config, {"format": "a test"})
        assert loaded.digest() == model.digest()
        np.testing.assert_array_equal(loaded.predict_arrays(arrays), model.predict_arrays(arrays))


def test_another_module_is_refused(model, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    for other in MODELS.values():
        if other is not type(model):
            match = r"weights.h5: expected the module '\w+', received"
            with pytest.raises(CheckpointError, match=match):
                other.from_preset(tmp_path / "preset")


def test_the_digest_tells_any_weight(model):
    before = model.digest()
    for variable in model.weights:
        kept = variable.numpy()
        variable.assign(kept + 1)
        assert model.digest() != before, variable.path
        variable.assign(kept)
    assert model.digest() == before


def test_a_keras_file_comes_back(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    arrays = random_arrays(model.reads, 3)
    np.testing.assert_array_equal(loaded.predict_arrays(arrays), model.predict_arrays(arrays))


def test_values(model):
    arrays = random_arrays(model.reads, 7)
    logits = model.predict_arrays(arrays, "logits")
    assert logits.shape == (7, len(model.cells))
    probabilities = model.predict_arrays(arrays)
    expected = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(probabilities, expected, atol=4 * tolerances.UNIT)
    embedding = model.predict_arrays(arrays, "embedding")
    assert embedding.shape == (7, model.config.embedding_size)
    assert model.value_names("embedding")[-1] == f"embedding_{model.config.embedding_size - 1}"
    rebuilt = model.head(tf.constant(embedding))
    np.testing.assert_allclose(rebuilt, logits, rtol=1e-5, atol=1e-5)
    one_by_one = [model.predict_arrays(take(arrays, slice(i, i + 1)), "logits") for i in range(7)]
    np.testing.assert_allclose(np.concatenate(one_by_one), logits, rtol=1e-5, atol=1e-5)
    assert model.predict_arrays(take(arrays, slice(0)), "logits").shape == (0, len(model.cells))


def test_arrays_that_are_not_what_is_read(model):
    arrays = random_arrays(model.reads, 2)
    first = model.reads[0]
    shape, dtype = arrays[first.name].shape, arrays[first.name].dtype
    with pytest.raises(InputError, match=f"inputs: expected {', '.join(model.reads.names)}, "):
        model.predict_arrays({})
    with pytest.raises(InputError, match="received .*x"):
        model.predict_arrays({**arrays, "x": arrays[first.name]})
    both = dict.fromkeys(("tokens", "windows"), np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match="tokens: expected letters or codes .*received both"):
        model.predict_arrays({**arrays, **both})
    for wrong in (
        np.zeros((2, *first.shape[:-1], first.shape[-1] + 1), dtype),
        np.zeros(shape, np.float64),
        np.full(shape, np.nan if first.largest is None else first.largest + 1, dtype),
    ):
        with pytest.raises(InputError, match=f"^{first.name}: expected"):
            model.predict_arrays({**arrays, first.name: wrong})
    with pytest.raises(ConfigError, match="values: expected one of"):
        model.predict_arrays(arrays, "x")


def test_activations_of_every_layer(model):
    arrays = random_arrays(model.reads, 3)
    found = model.activations(arrays, model.original_names)
    assert list(found) == model.original_names
    last = model.config.layer_paths[-1]
    np.testing.assert_allclose(found[last], model.predict_arrays(arrays, "embedding"), rtol=1e-5)
    probabilities = model.predict_arrays(arrays)
    for i, cell in enumerate(model.cells):
        np.testing.assert_array_equal(found[f"cpg/{cell}"], probabilities[:, i : i + 1])


def test_it_trains_and_goes_on_where_it_was_cut_off(config, tmp_path):
    examples = RandomExamples(config.with_dropout(0.2))

    class Cut:
        def begins(self, what, total, unit):
            if what.startswith("epoch 2"):
                raise KeyboardInterrupt

        def advances(self, units):
            pass

        def tells(self, line):
            pass

    def run(folder, **progress):
        keras.utils.set_random_seed(1)
        settings = TrainingSettings(epochs=3, batch_size=32, learning_rate=1e-2)
        own = new_model(config.with_dropout(0.2))
        parts = Parts(np.arange(64), np.arange(64, 96))
        strategy = make_strategy(1)
        return own, train_model(own, examples, parts, settings, strategy, state=folder, **progress)

    whole, history = run(tmp_path / "whole")
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    assert history.kept in history.rows
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=Cut())
    resumed, again = run(tmp_path / "cut")
    assert again == history
    assert resumed.digest() == whole.digest()


def test_every_stage_can_be_frozen(model):
    trainable = len(model.trainable_variables)
    for stage in model.stages:
        own = random_weights(new_model(model.config))
        penalised = len(own.penalised)
        freeze(own, stage)
        assert len(own.trainable_variables) < trainable
        assert len(own.penalised) < penalised
    with pytest.raises(ConfigError, match=f"freeze: expected one of none, {model.stages[0]}"):
        freeze(model, "x")


def test_cells_keep_their_heads(model):
    if model.config.module == "local":
        pytest.skip("no weight belongs to a cell")
    other = new_model(model.config.with_cells(("new", model.cells[1])))
    heads = take_over(other, model)
    assert heads == ((model.cells[1],), ("new",))
    arrays = random_arrays(model.reads, 3)  # of as many cells
    np.testing.assert_allclose(
        other.predict_arrays(arrays)[:, 1],
        model.predict_arrays(arrays)[:, 1],
        atol=tolerances.UNIT * 8,
    )


def test_the_signature_is_that_of_the_inputs(model):
    specs = array_specs(model.reads, 2)
    assert list(specs) == list(model.reads.names)
    logits = tf.function(lambda arrays: model(model.encode(arrays)), input_signature=[specs])
    arrays = random_arrays(model.reads, 2)
    np.testing.assert_allclose(logits(arrays), model.predict_arrays(arrays, "logits"), rtol=1e-5)


def test_a_variable_without_a_name_of_its_own_is_told(model, monkeypatch):
    monkeypatch.setattr("deepcpg_tf.models.base.path_within", lambda variable, layer: "kernel")
    with pytest.raises(AssertionError, match="names for"):
        _ = model.variables_by_name


@pytest.mark.full
def test_it_is_exported(model, tmp_path):
    done = export(model, tmp_path / "out", int8=False)
    assert done.manifest["left_out"] == {}
    kinds = {entry["kind"] for entry in done.manifest["artefacts"].values()}
    assert kinds == {"keras", "onnx", "saved_model", "tflite"}
    for entry in done.manifest["artefacts"].values():
        assert entry["maximum_difference"] <= BOUNDS[entry["precision"]]


def test_configurations_are_frozen(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.cells = ()
