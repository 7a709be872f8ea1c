//! The names of files that contain weights.

/// Extensions of weights: safetensors, Burn's own formats, and those of other frameworks.
const WEIGHT_SUFFIXES: [&str; 42] = [
    ".safetensors",
    ".bpk",
    ".mpk",
    ".mpk.gz",
    ".bin",
    ".bin.gz",
    ".pt",
    ".pth",
    ".ckpt",
    ".gguf",
    ".onnx",
    ".npz",
    ".npy",
    ".h5",
    ".hdf5",
    ".keras",
    ".msgpack",
    ".tflite",
    ".pb",
    ".ot",
    ".nemo",
    ".ftz",
    ".vec",
    ".joblib",
    ".pkl",
    ".pickle",
    ".skops",
    ".pdparams",
    ".pdiparams",
    ".mlmodel",
    ".pte",
    ".pt2",
    ".engine",
    ".plan",
    ".cbm",
    ".ubj",
    ".weights",
    ".weight",
    ".task",
    ".litertlm",
    ".onnx_data",
    ".ggml",
];

/// Files with an extension of weights that contain settings.
const SETTINGS_FILES: [&str; 1] = ["training_args.bin"];

/// Whether a file with this name contains weights.
pub(crate) fn is_weights_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    WEIGHT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) && !SETTINGS_FILES.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_found_by_extension() {
        for name in
            ["model.safetensors", "a/model.mpk", "MODEL.GGUF", "pytorch_model.bin", "model.mpk.gz", "m.nemo"]
        {
            assert!(is_weights_name(name), "{name}");
        }
        for name in ["training_args.bin", "config.json", "vocab.txt"] {
            assert!(!is_weights_name(name), "{name}");
        }
    }
}
