//! The card of a model that has none.

use sootprint::Footprint;

use crate::error::CardError;
use crate::text::quoted;
use crate::write::apply;

/// What a new card says beside the emissions. Everything is optional.
///
/// ```
/// use sootprint_card::NewCard;
///
/// let card = NewCard::default().title("Digits").library("burn").loading("`Digits::load(\"model.mpk\")`");
/// # let _ = card;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewCard {
    title: Option<String>,
    library: Option<String>,
    loading: Option<String>,
}

impl NewCard {
    /// The heading. Without one it is the name of the card's folder.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// The framework, as the Hub's `library_name` has it: `burn`, `candle`.
    #[must_use]
    pub fn library(mut self, name: impl Into<String>) -> Self {
        self.library = Some(name.into());
        self
    }

    /// Markdown that says how to load the model.
    #[must_use]
    pub fn loading(mut self, markdown: impl Into<String>) -> Self {
        self.loading = Some(markdown.into());
        self
    }

    /// The text of the card.
    ///
    /// The licence is not ours to choose: the card leaves it out, and a comment says where to write it.
    ///
    /// # Errors
    /// Those of [`EmissionsBlock::from_footprint`](crate::EmissionsBlock::from_footprint).
    pub fn render(&self, footprint: &Footprint) -> Result<String, CardError> {
        let library = self.library.as_deref().map(|name| format!("library_name: {}\n", quoted(name)));
        let loading = self.loading.as_deref().map(|markdown| format!("\n{}\n", markdown.trim()));
        let card = format!(
            "---\n{library}---\n\n# {title}\n\n{LICENCE}\n{loading}\n{ACCOUNT}\n",
            library = library.unwrap_or_default(),
            title = self.title.as_deref().map_or_else(|| UNTITLED.to_owned(), in_one_line),
            loading = loading.unwrap_or_default(),
        );
        Ok(apply(&card, footprint)?.0)
    }

    /// The card with a heading, if it has none.
    pub(crate) fn titled_at_last(&self, title: impl FnOnce() -> Option<String>) -> Self {
        Self { title: self.title.clone().or_else(title), ..self.clone() }
    }
}

const UNTITLED: &str = "Model card";

const LICENCE: &str =
    "<!-- The licence is yours to choose: add a line such as `license: mit` between the two `---`.
     https://huggingface.co/docs/hub/repositories-licenses lists the names. -->";

const ACCOUNT: &str = concat!(
    "The energy and the emissions of its training are in this card's metadata, under `co2_eq_emissions`; its\n",
    "`source` says what was measured and what was modelled by [sootprint](",
    env!("CARGO_PKG_REPOSITORY"),
    ")."
);

/// A heading is one line, whatever the folder is called.
fn in_one_line(title: &str) -> String {
    title.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelCard;
    use crate::block::VERSION;
    use crate::sample;

    #[test]
    fn a_card_with_everything() {
        let new = NewCard::default().title("Digits\n2").library("burn").loading("Load it with Burn.");
        let card = new.render(&sample::fine_tuning("org/base")).unwrap();
        insta::assert_snapshot!(card.replace(VERSION, "X.Y"), @r#"
        ---
        library_name: "burn"
        base_model: "org/base"
        co2_eq_emissions:
          emissions: 40.6823
          source: "sootprint X.Y (GPU counter; CPU, memory modelled)"
          training_type: "fine-tuning"
          geographical_location: "France"
          hardware_used: "2 x NVIDIA H200"
          energy_consumed: 0.726469444
        ---

        # Digits 2

        <!-- The licence is yours to choose: add a line such as `license: mit` between the two `---`.
             https://huggingface.co/docs/hub/repositories-licenses lists the names. -->

        Load it with Burn.

        The energy and the emissions of its training are in this card's metadata, under `co2_eq_emissions`; its
        `source` says what was measured and what was modelled by [sootprint](https://github.com/sootprint/sootprint).
        "#);
    }

    #[test]
    fn a_card_with_nothing_but_the_emissions() {
        let card = NewCard::default().render(&sample::footprint()).unwrap();
        assert!(card.starts_with("---\nco2_eq_emissions:\n  emissions: 40.6823\n"), "{card}");
        assert!(card.contains("\n---\n\n# Model card\n\n<!-- The licence"), "{card}");
        assert!(ModelCard::parse(card).unwrap().has_own_emissions());
    }
}
