"""Writes checkpoints in the layouts of Keras 1.2 and Keras 2.2, as DeepCpG left them.

The layout is that of the genuine files in ``tests/fixtures/legacy``; a test holds the
two against each other.
"""

import json

import h5py
import numpy as np

NAMES = {
    1: {"conv": "convolution1d", "pool": "maxpooling1d"},
    2: {"conv": "conv1d", "pool": "max_pooling1d"},
}


def architecture(config, keras=1):
    """Return the model JSON as a dict."""
    names = NAMES[keras]
    layers = []

    def add(name, kind, settings, source):
        node = [source, 0, 0] if keras == 1 else [source, 0, 0, {}]
        nodes = [[node]] if source else []
        settings = {"name": name, **settings}
        layers.append(
            {"name": name, "class_name": kind, "config": settings, "inbound_nodes": nodes}
        )
        return name

    def dense(name, units, activation, source):
        if keras == 1:
            settings = {"output_dim": units, "activation": activation, "bias": True}
        else:
            settings = {"units": units, "activation": activation, "use_bias": True}
        return add(name, "Dense", settings, source)

    shape = [None, config.sequence_length, 4]
    last = add("dna", "InputLayer", {"batch_input_shape": shape}, None)
    count = len(config.conv_channels)
    for i, (filters, width, pool) in enumerate(config.convolutions, 1):
        if keras == 1:
            conv = {"nb_filter": filters, "filter_length": width, "border_mode": "valid"}
            conv |= {"subsample_length": 1, "activation": "linear", "bias": True}
            pooling = {"pool_length": pool, "stride": pool, "border_mode": "valid"}
        else:
            conv = {"filters": filters, "kernel_size": [width], "padding": "valid"}
            conv |= {"strides": [1], "dilation_rate": [1], "data_format": "channels_last"}
            conv |= {"activation": "linear", "use_bias": True}
            pooling = {"pool_size": [pool], "strides": [pool], "padding": "valid"}
            pooling |= {"data_format": "channels_last"}
        kind = "Convolution1D" if keras == 1 else "Conv1D"
        last = add(f"dna/{names['conv']}_{i}", kind, conv, last)
        last = add(f"dna/activation_{i}", "Activation", {"activation": "relu"}, last)
        last = add(f"dna/{names['pool']}_{i}", "MaxPooling1D", pooling, last)
    last = add("dna/flatten_1", "Flatten", {}, last)
    last = dense("dna/dense_1", config.bottleneck_size, "linear", last)
    last = add(f"dna/activation_{count + 1}", "Activation", {"activation": "relu"}, last)
    rate = {"p" if keras == 1 else "rate": config.hidden_dropout}
    last = add("dna/dropout_1", "Dropout", rate, last)
    outputs = [dense(f"cpg/{cell}", 1, "sigmoid", last) for cell in config.cells]
    for number, name in enumerate(config.outputs, 2):
        match name.split("/")[-1]:
            case "var":  # only what scales the sigmoid has the name of the output
                head = dense(f"dense_{number}", 1, "linear", last)
                outputs.append(
                    add(name, "ScaledSigmoid", {"trainable": True, "scaling": 0.251}, head)
                )
            case "entropy":  # the original gives it no name
                outputs.append(dense(f"dense_{number}", 1, "relu", last))
            case "cat_var":
                outputs.append(dense(name, 3, "softmax", last))
            case _:
                outputs.append(dense(name, 1, "sigmoid", last))
    return {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": layers,
            "input_layers": [["dna", 0, 0]],
            "output_layers": [[name, 0, 0] for name in outputs],
        },
        "keras_version": "1.2.2" if keras == 1 else "2.2.4",
    }


def write_weights(path, document, tensors, *, full=True, with_config=True):
    """Write the HDF5; `tensors` has the names and shapes of Keras 3 (`cpg` stacked)."""
    keras = int(document["keras_version"][0])
    values = iter(tensors.values())
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if full else file
        if full and with_config:
            file.attrs["model_config"] = json.dumps(document).encode()
        file.attrs["keras_version"] = document["keras_version"].encode()
        layers = document["config"]["layers"]
        root.attrs["layer_names"] = np.array([layer["name"].encode() for layer in layers])
        scopes = ("cpg/", "cpg_stats/", "win_stats/", "bulk/", "dense_")
        cells = [layer["name"] for layer in layers if layer["name"].startswith(scopes)]
        heads, column = None, 0
        for layer in layers:
            name = layer["name"]
            group = root.require_group(name)
            if layer["class_name"] not in ("Dense", "Conv1D", "Convolution1D"):
                group.attrs["weight_names"] = np.array([], dtype="S1")
                continue
            if name in cells:
                heads = heads or (next(values), next(values))
                settings = layer["config"]
                own = slice(column, column + settings.get("units", settings.get("output_dim")))
                column = own.stop
                kernel, bias = heads[0][:, own], heads[1][own]
                stem = name
            else:
                kernel, bias = next(values), next(values)
                stem = name.removeprefix("dna/")
            if keras == 1:
                names = [f"{stem}_W:0", f"{stem}_b:0"]
                kernel = kernel[:, None] if kernel.ndim == 3 else kernel
            else:
                names = [f"{stem}/kernel:0", f"{stem}/bias:0"]
            group.attrs["weight_names"] = np.array([n.encode() for n in names])
            for weight_name, value in zip(names, (kernel, bias), strict=True):
                group[weight_name] = value


def write_checkpoint(folder, config, tensors, keras=1, layout="published"):
    """Write one of the layouts ``published``, ``weights-only`` and ``single-file``."""
    document = architecture(config, keras)
    if layout == "single-file":
        write_weights(folder / "model.h5", document, tensors)
    else:
        (folder / "model.json").write_text(json.dumps(document))
        full = layout == "published"
        write_weights(folder / "model_weights.h5", document, tensors, full=full)
    return document
