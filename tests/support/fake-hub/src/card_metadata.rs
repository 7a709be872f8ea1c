//! The metadata of a model card, as the Hub reads it: for `cardData`, tags, and the validation before a commit.

use serde_json::{Value, json};

/// The front matter of a card.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CardMetadata {
    /// The metadata as JSON; `None` if there is none or it is invalid.
    pub(crate) data: Option<Value>,
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Licences that the Hub accepts. Its list is longer; these are the ones that tests use.
const LICENSES: [&str; 12] = [
    "apache-2.0",
    "mit",
    "openrail",
    "bigscience-openrail-m",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc0-1.0",
    "gpl-3.0",
    "llama3",
    "other",
    "unknown",
];

impl CardMetadata {
    pub(crate) fn parse(card: &str) -> Self {
        let Some(front_matter) = front_matter(card) else {
            let warnings = vec!["empty or missing yaml metadata in repo card".to_owned()];
            return Self { warnings, ..Self::default() };
        };
        match serde_yaml::from_str::<Value>(front_matter) {
            Err(error) => Self { errors: vec![format!("YAML parse error: {error}")], ..Self::default() },
            Ok(Value::Null) => Self::default(),
            Ok(data @ Value::Object(_)) => {
                let errors = find_errors(&data);
                Self { data: Some(data).filter(|_| errors.is_empty()), errors, warnings: Vec::new() }
            }
            Ok(_) => Self { errors: vec!["the metadata is not a mapping".to_owned()], ..Self::default() },
        }
    }

    /// The tags that the Hub derives from the metadata.
    pub(crate) fn tags(&self) -> Vec<String> {
        let Some(data) = &self.data else { return Vec::new() };
        let mut tags = texts(&data["tags"]);
        tags.extend(texts(&data["library_name"]));
        tags.extend(texts(&data["license"]).into_iter().map(|license| format!("license:{license}")));
        tags.extend(texts(&data["base_model"]).into_iter().map(|model| format!("base_model:{model}")));
        if data.get("co2_eq_emissions").is_some() {
            tags.push("co2_eq_emissions".to_owned());
        }
        tags
    }

    /// The response of `POST /api/validate-yaml`.
    pub(crate) fn validation(&self) -> Value {
        let messages = |texts: &[String]| -> Vec<Value> {
            texts.iter().map(|message| json!({ "message": message })).collect()
        };
        json!({ "errors": messages(&self.errors), "warnings": messages(&self.warnings) })
    }
}

/// The text between the first two lines of `---`.
fn front_matter(card: &str) -> Option<&str> {
    let card = card.strip_prefix('\u{feff}').unwrap_or(card);
    let rest = card.strip_prefix("---\n").or_else(|| card.strip_prefix("---\r\n"))?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some(&rest[..end]);
        }
        end += line.len();
    }
    None
}

fn find_errors(data: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let licenses = texts(&data["license"]);
    if let Some(license) = licenses.iter().find(|license| !LICENSES.contains(&license.as_str())) {
        errors.push(format!("\"license\" must be one of [{}], not {license}", LICENSES.join(", ")));
    }
    for key in ["tags", "datasets", "metrics"] {
        if data.get(key).is_some_and(|value| !value.is_array() && !value.is_string() && !value.is_null()) {
            errors.push(format!("\"{key}\" must be an array"));
        }
    }
    for base in texts(&data["base_model"]) {
        if base.split('/').count() != 2 {
            errors.push(format!(
                "\"base_model\" with value \"{base}\" is not valid. Use a model id from https://hf.co/models."
            ));
        }
    }
    errors
}

/// A text or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_json_and_tags() {
        let card = "---\r\nlicense: mit\r\ntags: [digits]\r\nco2_eq_emissions:\r\n  emissions: 12.5\r\n---\r\n# Digits\r\n";
        let metadata = CardMetadata::parse(card);
        assert_eq!(metadata.data.as_ref().unwrap()["co2_eq_emissions"]["emissions"], 12.5);
        assert_eq!(metadata.tags(), ["digits", "license:mit", "co2_eq_emissions"]);
        assert_eq!(metadata.validation(), json!({ "errors": [], "warnings": [] }));
    }

    #[test]
    fn invalid_metadata_is_an_error() {
        for card in [
            "---\nlicense: [\n---\n",
            "---\n- a\n---\n",
            "---\nlicense: none-of-these\n---\n",
            "---\ntags: 3\n---\n",
        ] {
            let metadata = CardMetadata::parse(card);
            assert!(metadata.data.is_none() && metadata.errors.len() == 1, "{card}: {metadata:?}");
        }
        assert_eq!(CardMetadata::parse("# Digits\n").warnings.len(), 1);
        assert_eq!(CardMetadata::parse("---\n---\n"), CardMetadata::default());
    }
}
