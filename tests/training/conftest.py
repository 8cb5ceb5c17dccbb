import pytest
import tensorflow as tf


@pytest.fixture(autouse=True, scope="session")
def _two_virtual_devices():
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    except RuntimeError:
        pytest.skip("TensorFlow was in use before two virtual devices could be made")
