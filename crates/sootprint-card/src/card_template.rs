//! The content of a new card, for a model that has none.

use std::fs;
use std::path::{self, Path};

use crate::format::single_line;
use crate::usage_snippet::{is_weights_file, usage_snippet};
use crate::yaml_quote::double_quote;

/// The content of a new card apart from the footprint. All parts are optional.
///
/// The card explains how to load the weights if the library is `burn` or `candle`, or if no library is set and the
/// weights file has a format that one of them reads. Pass the template to
/// [`CardWriter::template`](crate::CardWriter::template).
///
/// ```
/// use sootprint_card::CardTemplate;
///
/// let card = CardTemplate::default().title("Digits").library("burn").weights("model.safetensors").tag("mnist");
/// # let _ = card;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardTemplate {
    title: Option<String>,
    library: Option<String>,
    tags: Vec<String>,
    weights: Option<String>,
    usage_snippet: Option<String>,
}

impl CardTemplate {
    /// Sets the heading. By default, [`CardWriter::write`](crate::CardWriter::write) uses the name of the card's
    /// folder, and [`CardWriter::render`](crate::CardWriter::render) uses `Model card`.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the framework, such as `burn` or `candle`. It becomes the Hub's `library_name`.
    #[must_use]
    pub fn library(mut self, name: impl Into<String>) -> Self {
        self.library = Some(name.into());
        self
    }

    /// Adds a tag to the Hub's `tags`. The tag `sootprint` is always included, so that measured models can be found.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the name of the weights file, such as `model.safetensors`. By default,
    /// [`CardWriter::write`](crate::CardWriter::write) uses the weights file in the card's folder, if there is exactly
    /// one.
    #[must_use]
    pub fn weights(mut self, file: impl Into<String>) -> Self {
        self.weights = Some(file.into());
        self
    }

    /// Sets the Markdown that explains how to load the model, in place of the generated text.
    #[must_use]
    pub fn usage_snippet(mut self, markdown: impl Into<String>) -> Self {
        self.usage_snippet = Some(markdown.into());
        self
    }

    /// Sets the heading, unless one has been set already.
    #[must_use]
    pub fn title_or(mut self, title: impl Into<String>) -> Self {
        self.title.get_or_insert_with(|| title.into());
        self
    }

    /// Returns this template with defaults from the folder of the file `card`. If no heading is set, it is the name of
    /// the folder. If no weights file is set, it is the one in the folder, if there is exactly one.
    #[must_use]
    pub fn with_defaults_from(&self, card: &Path) -> Self {
        let Some(folder) = path::absolute(card).ok().and_then(|card| Some(card.parent()?.to_owned())) else {
            return self.clone();
        };
        let name = || Some(folder.file_name()?.to_string_lossy().into_owned());
        Self {
            title: self.title.clone().or_else(name),
            weights: self.weights.clone().or_else(|| find_weights_file(&folder)),
            ..self.clone()
        }
    }

    /// The text of the card, without a footprint. It has no `license`, which only the author can choose.
    pub(crate) fn render(&self) -> String {
        let library = self.library.as_deref().map(|name| format!("library_name: {}\n", double_quote(name)));
        let mut tags = vec!["sootprint"];
        tags.extend(self.tags.iter().map(String::as_str).filter(|tag| *tag != "sootprint"));
        let tags: String = tags.into_iter().map(|tag| format!("- {}\n", double_quote(tag))).collect();
        let title = self.title.as_deref().map(single_line).filter(|title| !title.is_empty());
        let usage_snippet = match &self.usage_snippet {
            Some(markdown) => Some(markdown.trim().to_owned()),
            None => usage_snippet(self.library.as_deref(), self.weights.as_deref()),
        };
        let mut body =
            vec![format!("# {}", title.as_deref().unwrap_or(DEFAULT_TITLE)), LICENSE_COMMENT.to_owned()];
        body.extend(usage_snippet.map(|loading| format!("## How to load the weights\n\n{loading}")));
        format!("---\n{}tags:\n{tags}---\n\n{}\n", library.unwrap_or_default(), body.join("\n\n"))
    }
}

const DEFAULT_TITLE: &str = "Model card";

const LICENSE_COMMENT: &str =
    "<!-- Choose a licence: add a line such as `license: mit` between the two `---`.
     Names: https://huggingface.co/docs/hub/repositories-licenses -->";

/// The folder's only weights file; `None` if there are several.
fn find_weights_file(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut weights = names.filter(|name| is_weights_file(name));
    weights.next().filter(|_| weights.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::ModelCard;
    use crate::card_writer::CardWriter;
    use crate::emissions_block::SHORT_VERSION;
    use crate::fixtures;

    #[test]
    fn full_template_renders_all_parts() {
        let template = CardTemplate::default()
            .title("Digits\n2")
            .library("burn")
            .tag("mnist")
            .tag("sootprint")
            .weights("model.safetensors");
        let card = CardWriter::new(&fixtures::fine_tuning("org/base")).template(template).render().unwrap();
        insta::assert_snapshot!(card.replace(SHORT_VERSION, "X.Y"), @r#"
        ---
        library_name: "burn"
        tags:
        - "sootprint"
        - "mnist"
        base_model: "org/base"
        co2_eq_emissions:
          emissions: 40.6823
          source: "sootprint X.Y (GPU counter; CPU, memory modelled)"
          training_type: "fine-tuning"
          geographical_location: "France"
          hardware_used: "2 x NVIDIA H200"
          energy_consumed: 0.726469444
        dia_version: "X.Y"
        dia_report:
          scope: "incremental"
          lineage:
            - model: "org/base"
          compute:
            hardware:
              gpu: "NVIDIA H200"
              count: 2
            duration_gpu_hours: 1
          footprint:
            energy_kwh:
              value: 0.726469444
              quality: "estimated-from-hardware"
            carbon_kgco2eq:
              value: 0.0406823
              quality: "estimated-from-region"
          context:
            region: "FR"
            carbon_intensity: 56
          tool: "sootprint X.Y"
        ---

        # Digits 2

        <!-- Choose a licence: add a line such as `license: mit` between the two `---`.
             Names: https://huggingface.co/docs/hub/repositories-licenses -->

        ## How to load the weights

        With [Burn](https://burn.dev), into a model of the same structure:

        ```rust
        use burn_store::{ModuleSnapshot, SafetensorsStore};

        let mut store = SafetensorsStore::from_file("model.safetensors");
        // Saved in PyTorch's layout? Then `.with_from_adapter(PyTorchToBurnAdapter)`.
        model.load_from(&mut store)?;
        ```

        <!-- sootprint:begin -->

        ## Environmental Impact

        - **Hardware Type:** 2 x NVIDIA H200
        - **Hours used:** 1 (device-hours of 2 GPUs)
        - **Cloud Provider:** unknown
        - **Compute Region:** France
        - **Carbon Emitted:** 40.6823 g CO2eq
        - **Energy:** 0.726469444 kWh (GPU 666.67 Wh, CPU 50.00 Wh and memory 9.80 Wh)
        - **Range:** 30 to 70 g CO2e around 40.6823 g; 666.67 Wh to 805.56 Wh at the components. These are bounds under [stated assumptions](https://github.com/sootprint/sootprint/blob/main/docs/uncertainty.md), not a confidence interval
        - **Measured:** 2 x GPU (NVIDIA H200) by their energy counters, 91.8 % of the energy
        - **Modelled:** CPU (a processor), 50 % allocated to the job, 6.88 % of the energy; memory (64 GiB), 50 % allocated to the job, 1.35 % of the energy
        - **Carbon intensity:** 56 g CO2e/kWh (47.6 to 64.4), France, yearly average of 2024; counts the life-cycle emissions of the electricity generated; source: Ember
        - **PUE:** 1.00, assumed; the range above allows for 1.56
        - **Training:** fine-tuning, 30.0 min
        - **Base model:** org/base; its own footprint is separate and not included in these figures
        - **Not included:** fans, disks, network and power supply losses; manufacture and disposal of the hardware; other runs and experiments; training of the base model

        Generated by [sootprint](https://github.com/sootprint/sootprint) X.Y; the main figures are also in this card's metadata.

        <!-- sootprint:end -->
        "#);
    }

    #[test]
    fn empty_template_renders_footprint_only() {
        let card = CardWriter::new(&fixtures::footprint()).render().unwrap();
        assert!(
            card.starts_with("---\ntags:\n- \"sootprint\"\nco2_eq_emissions:\n  emissions: 40.6823\n"),
            "{card}"
        );
        assert!(card.contains("\n---\n\n# Model card\n\n<!-- Choose a licence"), "{card}");
        assert!(!card.contains("license:\n") && !card.contains("How to load"), "{card}");
        assert!(ModelCard::parse(card).unwrap().has_generated_emissions());
    }

    #[test]
    fn folder_provides_title_and_weights() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("digits");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), "{}").unwrap();
        fs::write(folder.join("model.bpk"), "x").unwrap();
        let template = CardTemplate::default().with_defaults_from(&folder.join("README.md"));
        assert_eq!(
            (template.title.as_deref(), template.weights.as_deref()),
            (Some("digits"), Some("model.bpk"))
        );
        fs::write(folder.join("model.safetensors"), "x").unwrap();
        assert_eq!(
            CardTemplate::default().with_defaults_from(&folder.join("README.md")).weights,
            None,
            "two weights files"
        );
    }
}
