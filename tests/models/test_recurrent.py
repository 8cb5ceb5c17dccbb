import keras
import numpy as np
import pytest
import tensorflow as tf

from deepcpg_tf.models.recurrent import UnrolledGRU, keras2_hard_sigmoid
from tests import tolerances

STEPS, VALUES, UNITS = 5, 4, 3


def both(**options):
    """Keras' own layer, and ours with the same weights."""
    stock = keras.layers.GRU(
        UNITS, reset_after=False, recurrent_activation=keras2_hard_sigmoid, **options
    )
    ours = UnrolledGRU(UNITS, **options)
    x = tf.constant(np.random.default_rng(0).normal(0, 1, (6, STEPS, VALUES)).astype(np.float32))
    stock(x)
    ours(x)
    rng = np.random.default_rng(1)
    stock.set_weights([rng.normal(0, 1, w.shape) for w in stock.get_weights()])
    ours.set_weights(stock.get_weights())
    return stock, ours, x


ALLOWED = 2 * STEPS * (VALUES + UNITS + 1) * tolerances.UNIT * tolerances.SIZE


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_values_and_slopes_are_those_of_keras(sequences, backwards, training):
    stock, ours, x = both(return_sequences=sequences, go_backwards=backwards)
    weight = tf.constant(np.random.default_rng(2).normal(0, 1, stock(x).shape).astype(np.float32))

    def slopes(layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=training) * weight)
        return tape.gradient(loss, [x, *layer.trainable_variables])

    np.testing.assert_allclose(ours(x, training=training), stock(x), atol=ALLOWED)
    for found, expected in zip(slopes(ours), slopes(stock), strict=True):
        np.testing.assert_allclose(found, expected, atol=10 * ALLOWED)
    gates = keras2_hard_sigmoid(x @ ours.cell.kernel)
    assert (np.asarray(gates) == 0).any(), "some gates are shut, where the slope is 0"


def test_both_directions_in_a_model():
    inputs = keras.Input((STEPS, VALUES))
    layer = keras.layers.Bidirectional(UnrolledGRU(UNITS, return_sequences=True))
    model = keras.Model(inputs, layer(inputs))
    _, _, x = both()
    forward, backward = layer.forward_layer, layer.backward_layer
    assert (forward.go_backwards, backward.go_backwards) == (False, True)
    expected = np.concatenate([forward(x), backward(x)[:, ::-1]], axis=-1)
    np.testing.assert_allclose(model(x), expected, atol=ALLOWED)


def test_the_step_of_training_has_no_sum_in_any_order():
    """TensorFlow adds three slopes or more of one variable in whatever order."""
    _, ours, x = both()

    @tf.function
    def slopes(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(ours(x, training=True)))
        return tape.gradient(loss, ours.trainable_variables)

    graph = slopes.get_concrete_function(x).graph
    sums = [op for op in graph.get_operations() if op.type == "AddN"]
    assert [op for op in sums if len(op.inputs) > 2] == []


def test_it_comes_back_from_its_configuration():
    layer = UnrolledGRU(UNITS, return_sequences=True, name="gru")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is UnrolledGRU
    assert again.get_config() == layer.get_config()
    assert again.recurrent_activation is keras2_hard_sigmoid


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("activation", "relu"),
        ("activation", None),
        ("recurrent_activation", "sigmoid"),
        ("use_bias", False),
        ("dropout", 0.5),
        ("recurrent_dropout", 0.5),
        ("reset_after", True),
        ("stateful", True),
        ("use_cudnn", True),
    ],
)
def test_what_it_does_not_compute_is_refused(option, value):
    with pytest.raises(ValueError, match=f"^{option}: expected (?!{value}).* received {value}"):
        UnrolledGRU(UNITS, **{option: value})


def test_masks_and_initial_states_are_refused():
    _, ours, x = both()
    with pytest.raises(ValueError, match="mask: expected none"):
        ours(x, mask=tf.constant([[True] * STEPS] * 6))
    with pytest.raises(ValueError, match="mask: expected none"):
        ours(keras.layers.Masking()(x))
    with pytest.raises(ValueError, match="initial_state: expected none"):
        ours(x, initial_state=tf.ones((6, UNITS)))


def test_the_state_is_returned():
    stock, ours, x = both(return_sequences=True, return_state=True)
    for found, expected in zip(ours(x), stock(x), strict=True):
        np.testing.assert_allclose(found, expected, atol=ALLOWED)


def test_the_gate_of_keras_1_and_2():
    x = tf.constant([-3.0, -2.5, -1.0, 0.0, 1.0, 2.5, 3.0])
    np.testing.assert_allclose(keras2_hard_sigmoid(x), [0, 0, 0.3, 0.5, 0.7, 1, 1], rtol=1e-6)
