//! The content of a new card, for a model that has none.

use std::fs;
use std::path::{self, Path};

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardTemplate {
    title: Option<String>,
    library: Option<String>,
    tags: Vec<String>,
    weights: Option<String>,
    usage_snippet: Option<String>,
    license: Option<String>,
    pipeline_tag: Option<String>,
    languages: Vec<String>,
    datasets: Vec<String>,
    metrics: Vec<String>,
    results: Vec<(String, f64)>,
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

    /// Sets the licence, by its name on the Hub, such as `mit`. Without it, a comment asks for one.
    #[must_use]
    pub fn license(mut self, name: impl Into<String>) -> Self {
        self.license = Some(name.into());
        self
    }

    /// Sets the task, such as `image-classification`. It becomes the Hub's `pipeline_tag`.
    #[must_use]
    pub fn pipeline_tag(mut self, task: impl Into<String>) -> Self {
        self.pipeline_tag = Some(task.into());
        self
    }

    /// Adds a language, by its ISO 639-1 code, such as `en`.
    #[must_use]
    pub fn language(mut self, code: impl Into<String>) -> Self {
        self.languages.push(code.into());
        self
    }

    /// Adds a dataset that the model was trained on, by its name on the Hub.
    #[must_use]
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        self.datasets.push(name.into());
        self
    }

    /// Adds a metric that the model was evaluated with, by its name on the Hub, such as `accuracy`.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>) -> Self {
        self.metrics.push(name.into());
        self
    }

    /// Adds a result of the training, such as a final accuracy, to a table in the card. With a
    /// [`pipeline_tag`](Self::pipeline_tag) and exactly one [`dataset`](Self::dataset), the results also become the
    /// Hub's `model-index`. A value that is not finite is left out.
    #[must_use]
    pub fn result(mut self, name: impl Into<String>, value: f64) -> Self {
        self.results.extend(value.is_finite().then(|| (name.into(), value)));
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

    /// The keys of the metadata that were set, in the order of the card, each with one value. A list has one entry per
    /// item. `tags` and `model-index` are not included.
    #[must_use]
    pub fn metadata_values(&self) -> Vec<(&'static str, &str)> {
        let texts = [
            ("license", &self.license),
            ("library_name", &self.library),
            ("pipeline_tag", &self.pipeline_tag),
        ];
        let lists = [("language", &self.languages), ("datasets", &self.datasets), ("metrics", &self.metrics)];
        let texts = texts.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let lists =
            lists.into_iter().flat_map(|(key, values)| values.iter().map(move |it| (key, it.as_str())));
        texts.chain(lists).collect()
    }

    /// The text of the card, without a footprint.
    pub(crate) fn render(&self) -> String {
        let title = self.title.as_deref().map(single_line).filter(|title| !title.is_empty());
        let title = title.as_deref().unwrap_or(DEFAULT_TITLE);
        let usage_snippet = match &self.usage_snippet {
            Some(markdown) => Some(markdown.trim().to_owned()),
            None => usage_snippet(self.library.as_deref(), self.weights.as_deref()),
        };
        let mut body = vec![format!("# {title}")];
        body.extend(self.license.is_none().then(|| LICENSE_COMMENT.to_owned()));
        body.extend(usage_snippet.map(|loading| format!("## How to load the weights\n\n{loading}")));
        body.extend(self.results_section());
        format!("---\n{}---\n\n{}\n", self.metadata(title), body.join("\n\n"))
    }

    fn metadata(&self, title: &str) -> String {
        let scalar = |key: &str, value: &Option<String>| {
            value.as_deref().map(|value| format!("{key}: {}\n", double_quote(value))).unwrap_or_default()
        };
        let list = |key: &str, values: &[String]| match values {
            [] => String::new(),
            values => {
                let items: String =
                    values.iter().map(|value| format!("- {}\n", double_quote(value))).collect();
                format!("{key}:\n{items}")
            }
        };
        let mut tags = vec!["sootprint".to_owned()];
        tags.extend(self.tags.iter().filter(|tag| *tag != "sootprint").cloned());
        [
            list("language", &self.languages),
            scalar("license", &self.license),
            scalar("library_name", &self.library),
            scalar("pipeline_tag", &self.pipeline_tag),
            list("tags", &tags),
            list("datasets", &self.datasets),
            list("metrics", &self.metrics),
            self.model_index(title).unwrap_or_default(),
        ]
        .concat()
    }

    /// <https://huggingface.co/docs/hub/model-cards#evaluation-results>
    fn model_index(&self, title: &str) -> Option<String> {
        let ([dataset], Some(task)) = (self.datasets.as_slice(), &self.pipeline_tag) else { return None };
        let (title, dataset, task) = (double_quote(title), double_quote(dataset), double_quote(task));
        let metric = |(name, value): &(String, f64)| {
            let kind = double_quote(&name.to_lowercase().replace(' ', "_"));
            format!("    - type: {kind}\n      value: {value}\n      name: {}\n", double_quote(name))
        };
        let metrics: String = self.results.iter().map(metric).collect();
        (!metrics.is_empty()).then(|| {
            format!(
                "model-index:\n- name: {title}\n  results:\n  - task:\n      type: {task}\n    dataset:\n      \
                 name: {dataset}\n      type: {dataset}\n    metrics:\n{metrics}"
            )
        })
    }

    fn results_section(&self) -> Option<String> {
        let cell = |text: &str| single_line(text).replace('|', "\\|");
        let rows = self.results.iter().map(|(name, value)| format!("| {} | {value} |\n", cell(name)));
        let rows: String = rows.collect();
        (!rows.is_empty())
            .then(|| format!("## Results\n\n| Metric | Value |\n|---|---|\n{}", rows.trim_end()))
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
    fn results_become_table_and_model_index() {
        let template = CardTemplate::default()
            .title("Digits")
            .license("mit")
            .pipeline_tag("image-classification")
            .language("en")
            .dataset("ylecun/mnist")
            .metric("accuracy")
            .result("Accuracy", 98.25)
            .result("Loss", f64::NAN)
            .result("a|b", 1e-7);
        let text = template.render();
        insta::assert_snapshot!(text, @r#"
        ---
        language:
        - "en"
        license: "mit"
        pipeline_tag: "image-classification"
        tags:
        - "sootprint"
        datasets:
        - "ylecun/mnist"
        metrics:
        - "accuracy"
        model-index:
        - name: "Digits"
          results:
          - task:
              type: "image-classification"
            dataset:
              name: "ylecun/mnist"
              type: "ylecun/mnist"
            metrics:
            - type: "accuracy"
              value: 98.25
              name: "Accuracy"
            - type: "a|b"
              value: 0.0000001
              name: "a|b"
        ---

        # Digits

        ## Results

        | Metric | Value |
        |---|---|
        | Accuracy | 98.25 |
        | a\|b | 0.0000001 |
        "#);
        assert_eq!(ModelCard::parse(text.clone()).unwrap().text(), text);
        let template = CardTemplate::default().license("mit").language("en").language("de");
        assert_eq!(template.metadata_values(), [("license", "mit"), ("language", "en"), ("language", "de")]);
        let without_dataset = CardTemplate::default().pipeline_tag("x").result("Accuracy", 1.0).render();
        assert!(without_dataset.contains("| Accuracy | 1 |") && !without_dataset.contains("model-index"));
    }

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
          emissions: 40.7
          source: "sootprint X.Y (GPU counter; CPU, memory modelled)"
          training_type: "fine-tuning"
          geographical_location: "France"
          hardware_used: "2 x NVIDIA H200"
          energy_consumed: 0.726
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
              value: 0.726
              quality: "estimated-from-hardware"
            carbon_kgco2eq:
              value: 0.0407
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
        - **Carbon Emitted:** 40.7 g CO2eq
        - **Energy:** 726 Wh (GPU 667 Wh, CPU 50 Wh and memory 9.8 Wh)
        - **Range:** 30 to 70 g CO2e around 40.7 g; 666 to 806 Wh at the components. These are bounds under [stated assumptions](https://github.com/sootprint/sootprint/blob/main/docs/uncertainty.md), not a confidence interval
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
            card.starts_with("---\ntags:\n- \"sootprint\"\nco2_eq_emissions:\n  emissions: 40.7\n"),
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
