"""The models: Keras functional models that mirror the original's modules."""

from deepcpg_tf.quiet import prefer_onednn

prefer_onednn()
