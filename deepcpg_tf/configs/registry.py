"""The configuration of each module, by the name that files give the module."""

from __future__ import annotations

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.errors import ConfigError

CONFIGS: dict[str, type[ModuleConfig]] = {
    cls.module: cls for cls in (DeepCpgDnaConfig, DeepCpgCpgConfig, DeepCpgJointConfig, LocalConfig)
}


def config_class(module: object) -> type[ModuleConfig]:
    """Return the class of a module's configurations.

    Raises
    ------
    ConfigError
        When there is no such module.
    """
    if not isinstance(module, str) or module not in CONFIGS:
        raise ConfigError(f"module: expected one of {', '.join(CONFIGS)}, received {module!r}")
    return CONFIGS[module]
