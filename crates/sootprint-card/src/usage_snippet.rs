//! Explains how to load a weights file with Burn and Candle.

/// The Markdown for a library and a weights file; `None` if both are unknown, or the library is another one.
///
/// For a safetensors file without a library, both frameworks are explained.
pub(crate) fn usage_snippet(library: Option<&str>, weights: Option<&str>) -> Option<String> {
    let weights = weights.filter(|name| is_weights_file(name));
    let (burn, candle) = match (library, weights) {
        (Some("burn"), _) => (true, false),
        (Some("candle"), _) => (false, true),
        (Some(_), _) | (None, None) => return None,
        (None, Some(name)) => (true, is_safetensors(name)),
    };
    let file = weights.unwrap_or("model.safetensors");
    let texts = [burn.then(|| burn_snippet(file)), candle.then(|| candle_snippet(file))];
    Some(texts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
}

/// Whether Burn or Candle can read the file, and its name needs no escaping in Rust and Markdown.
pub(crate) fn is_weights_file(name: &str) -> bool {
    let is_quotable = name.chars().all(|it| it.is_alphanumeric() || matches!(it, '.' | '-' | '_'));
    is_quotable && (is_safetensors(name) || name.ends_with(".bpk"))
}

fn is_safetensors(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn burn_snippet(file: &str) -> String {
    let store = if is_safetensors(file) { "SafetensorsStore" } else { "BurnpackStore" };
    let layout = match is_safetensors(file) {
        true => "\n// Saved in PyTorch's layout? Then `.with_from_adapter(PyTorchToBurnAdapter)`.",
        false => "",
    };
    format!(
        "With [Burn](https://burn.dev), into a model of the same structure:\n\n```rust\n\
         use burn_store::{{ModuleSnapshot, {store}}};\n\n\
         let mut store = {store}::from_file(\"{file}\");{layout}\nmodel.load_from(&mut store)?;\n```"
    )
}

fn candle_snippet(file: &str) -> String {
    format!(
        "With [Candle](https://github.com/huggingface/candle):\n\n```rust\n\
         let tensors = candle_core::safetensors::load(\"{file}\", &device)?;\n\
         let weights = candle_nn::VarBuilder::from_tensors(tensors, candle_core::DType::F32, &device);\n```"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippet_depends_on_library_and_file() {
        let names = |library, weights| {
            usage_snippet(library, weights).map(|text| {
                [
                    "SafetensorsStore::from_file(\"m.safetensors\")",
                    "BurnpackStore::from_file(\"m.bpk\")",
                    "safetensors::load(\"m.safetensors\"",
                ]
                .map(|call| text.contains(call))
            })
        };
        assert_eq!(names(Some("burn"), Some("m.safetensors")), Some([true, false, false]));
        assert_eq!(names(Some("burn"), Some("m.bpk")), Some([false, true, false]));
        assert_eq!(names(Some("candle"), Some("m.safetensors")), Some([false, false, true]));
        assert_eq!(names(None, Some("m.safetensors")), Some([true, false, true]));
        assert_eq!(names(Some("transformers"), Some("m.safetensors")), None);
        assert_eq!(
            (names(None, None), names(None, Some("m.onnx")), names(None, Some("a\"b.bpk"))),
            (None, None, None)
        );
        assert!(usage_snippet(Some("candle"), None).unwrap().contains("\"model.safetensors\""));
    }
}
