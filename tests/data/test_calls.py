import numpy as np

from deepcpg_tf.data.calls import calls_of_labels, labels_of_calls


def test_labels_and_calls():
    labels = np.array([[1, 0, -1], [-1, -1, 0]], np.int8)
    calls = np.array([[1, -1, 0], [0, 0, -1]], np.int8)
    for made, expected in (
        (calls_of_labels(labels), calls),
        (labels_of_calls(calls), labels),
    ):
        assert made.dtype == np.int8
        assert made.tolist() == expected.tolist()
