"""The recurrent layer of Keras 1 and Keras 2 over the cells, unrolled.

Source: ``keras.layers.recurrent`` of Keras 1.2.2 and Keras 2.2.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_SLOPE = 0.2


@keras.saving.register_keras_serializable(package="deepcpg_tf")
def keras2_hard_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """Return ``clip(0.2 x + 0.5, 0, 1)``: Keras 3's own ``hard_sigmoid`` is of slope 1/6."""
    return tf.clip_by_value(_SLOPE * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class UnrolledGRU(keras.layers.GRU):
    """A GRU as Keras 1 and 2 have it by default, made for few and wide steps.

    Input: [n, steps, values]. Output: [n, units], or [n, steps, units] with
    ``return_sequences``.

    Its gates are z, r, h in this order, activated by `keras2_hard_sigmoid`, and the reset
    gate acts before the matrix product. Weights and configuration are those of Keras'
    layer, and so are the numbers. What the inputs contribute is one matrix product for
    all steps, and so is the slope of the recurrent kernel: that is faster than step by step, and
    TensorFlow would add up the slopes of the steps in any order, and round by chance.

    Parameters
    ----------
    units
        Size of the state.
    **options
        Of ``keras.layers.GRU``. Other activations, dropout, states that are kept, cuDNN, and no
        bias are not among them.

    Raises
    ------
    ValueError
        Naming an option of ``keras.layers.GRU`` that it does not have. When it is called, also
        with a mask or an initial state: it begins with zeros, and takes all steps.
    """

    def __init__(self, units: int, **options: Any) -> None:
        options = {"recurrent_activation": keras2_hard_sigmoid, "reset_after": False, **options}
        super().__init__(units, **options)
        only: dict[str, tuple[Any, Any]] = {
            "activation": (self.activation, keras.activations.tanh),
            "recurrent_activation": (self.recurrent_activation, keras2_hard_sigmoid),
            "use_bias": (self.use_bias, True),
            "dropout": (self.dropout, 0),
            "recurrent_dropout": (self.recurrent_dropout, 0),
            "reset_after": (self.reset_after, False),
            "stateful": (self.stateful, False),
            "use_cudnn": (self.use_cudnn is True, False),
        }
        for name, (found, known) in only.items():
            if found != known:
                raise ValueError(
                    f"{name}: expected {getattr(known, '__name__', known)}, as an "
                    f"UnrolledGRU computes it, received {options[name]}"
                )

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Return the last output or all of them, and the last state with ``return_state``."""
        for name, given in (("initial_state", initial_state), ("mask", mask)):
            if given is not None:
                raise ValueError(
                    f"{name}: expected none, received one, which an UnrolledGRU would pass over"
                )
        return super().call(sequences, training=training)

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Return the last output, all of them [n, steps, units], and the last state."""
        kernel, bias, recurrent = (
            tf.convert_to_tensor(variable)
            for variable in (self.cell.kernel, self.cell.bias, self.cell.recurrent_kernel)
        )
        steps, values = sequences.shape[1:]
        rows = tf.reshape(sequences, (-1, values))
        gates = tf.reshape(rows @ kernel + bias, (-1, steps, 3 * self.units))
        if self.go_backwards:
            gates = tf.reverse(gates, [1])
        # Outside of training TensorFlow's own slopes do, and a graph without others can be saved.
        states = _states(gates, recurrent) if training else _steps(gates, recurrent).states
        return states[:, -1], states, [states[:, -1]]


class _Steps(NamedTuple):
    """What each step begins with and makes, and the states after all of them [n, steps, units]."""

    before: list[tf.Tensor]
    opened: list[tf.Tensor]
    resets: list[tf.Tensor]
    candidates: list[tf.Tensor]
    states: tf.Tensor


def _steps(gates: tf.Tensor, recurrent: tf.Tensor) -> _Steps:
    """Return the steps, given what the inputs contribute to the gates; see `_states`."""
    units = recurrent.shape[0]
    kernel, candidate_kernel = recurrent[:, : 2 * units], recurrent[:, 2 * units :]
    steps = tf.unstack(gates, axis=1)
    state = tf.zeros_like(steps[0][:, :units])
    before, opened, resets, candidates, states = [], [], [], [], []
    for own in steps:
        both = keras2_hard_sigmoid(own[:, : 2 * units] + state @ kernel)
        update, reset = both[:, :units], both[:, units:]
        candidate = tf.tanh(own[:, 2 * units :] + (reset * state) @ candidate_kernel)
        before.append(state)
        opened.append(both)
        resets.append(reset * state)
        candidates.append(candidate)
        state = update * state + (1 - update) * candidate
        states.append(state)
    return _Steps(before, opened, resets, candidates, tf.stack(states, 1))


@tf.custom_gradient
def _states(gates: tf.Tensor, recurrent: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """Return the states [n, steps, units], given what the inputs contribute to the gates.

    ``gates`` is [n, steps, 3 units] and ``recurrent`` [units, 3 units], both z, r, h.
    """
    units = recurrent.shape[0]
    kernel, candidate_kernel = recurrent[:, : 2 * units], recurrent[:, 2 * units :]
    before, opened, resets, candidates, states = _steps(gates, recurrent)

    def gradient(slopes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_gates: list[tf.Tensor] = []
        of_candidates: list[tf.Tensor] = []
        slope = tf.zeros_like(before[0])
        for own, start, both, candidate in zip(
            tf.unstack(slopes, axis=1)[::-1],
            before[::-1],
            opened[::-1],
            candidates[::-1],
            strict=True,
        ):
            slope += own
            update, reset = both[:, :units], both[:, units:]
            of_candidate = slope * (1 - update) * (1 - candidate * candidate)
            of_reset = tf.matmul(of_candidate, candidate_kernel, transpose_b=True)
            linear = tf.cast((both > 0) & (both < 1), both.dtype) * _SLOPE
            of_gate = linear * tf.concat([slope * (start - candidate), of_reset * start], 1)
            slope = slope * update + of_reset * reset
            slope += tf.matmul(of_gate, kernel, transpose_b=True)
            of_gates.append(of_gate)
            of_candidates.append(of_candidate)
        of_gates.reverse()
        of_candidates.reverse()
        of_recurrent = tf.concat(
            [
                tf.matmul(tf.concat(before, 0), tf.concat(of_gates, 0), transpose_a=True),
                tf.matmul(tf.concat(resets, 0), tf.concat(of_candidates, 0), transpose_a=True),
            ],
            1,
        )
        of_inputs = tf.concat([tf.stack(of_gates, 1), tf.stack(of_candidates, 1)], 2)
        return of_inputs, of_recurrent

    return states, gradient
