//! The content of a card that is created: from the arguments, otherwise from the settings files.

use sootprint::{CardDefaults, UserDefaults};
use sootprint_card::CardTemplate;

use crate::args::CardFieldArgs;

/// The template with the metadata of the arguments and the settings files. A fault in a settings file, which other
/// messages report, leaves out the defaults.
pub(crate) fn card_template(arguments: &CardFieldArgs) -> CardTemplate {
    let CardFieldArgs { license, library_name, pipeline_tag, language, dataset, metric } = arguments.clone();
    let mut given = CardDefaults::default();
    (given.license, given.library_name, given.pipeline_tag) = (license, library_name, pipeline_tag);
    (given.languages, given.datasets, given.metrics) = (language, dataset, metric);
    from_defaults(given.or(UserDefaults::load_for_run().unwrap_or_default().card))
}

fn from_defaults(card: CardDefaults) -> CardTemplate {
    type SetText = fn(CardTemplate, String) -> CardTemplate;
    let texts: [(Option<String>, SetText); 3] = [
        (card.license, |template, name| template.license(name)),
        (card.library_name, |template, name| template.library(name)),
        (card.pipeline_tag, |template, task| template.pipeline_tag(task)),
    ];
    let lists: [(Vec<String>, SetText); 3] = [
        (card.languages, |template, code| template.language(code)),
        (card.datasets, |template, name| template.dataset(name)),
        (card.metrics, |template, name| template.metric(name)),
    ];
    let values = texts.into_iter().map(|(value, set)| (value.into_iter().collect(), set)).chain(lists);
    values.fold(CardTemplate::default(), |template, (values, set): (Vec<String>, SetText)| {
        values.into_iter().fold(template, set)
    })
}
