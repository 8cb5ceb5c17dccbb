"""``python -m deepcpg_tf`` is ``deepcpg-tf``."""

from deepcpg_tf.cli.app import main

if __name__ == "__main__":
    main()
