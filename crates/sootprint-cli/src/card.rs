//! `sootprint card`: the emissions in a model card, written, shown and checked.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use sootprint::Footprint;
use sootprint_card::{
    BaseModelRelation, CardLint, CardOptions, CardUpdate, CardWriter, EmissionsBlock, ModelCard, Severity,
    UpdateKind,
};

use crate::args::{CardCheckArgs, CardCommand, CardShowArgs, CardWriteArgs};
use crate::terminal::{eprint_message, print, print_titled, to_pretty_json};
use crate::wrap::wrap_titled;

/// Where the values of a block begin.
const VALUE_COLUMN: usize = 24;

/// Does what is asked for.
pub(crate) fn run_card(command: &CardCommand) -> anyhow::Result<()> {
    match command {
        CardCommand::Write(arguments) => write(arguments),
        CardCommand::Show(arguments) => show(arguments),
        CardCommand::Check(arguments) => check(arguments),
    }
}

fn write(arguments: &CardWriteArgs) -> anyhow::Result<()> {
    let footprint = read_footprint(&arguments.footprint)?;
    let mut options = CardOptions::default()
        .plot(!arguments.no_picture)
        .dia_report(!arguments.no_report)
        .relation(arguments.relation.map(BaseModelRelation::from));
    if let Some(base) = &arguments.base_card {
        options = options.with_base_model_card(ModelCard::open(base)?);
    }
    let card = &arguments.card;
    let update = CardWriter::new(&footprint).options(options).write(card)?;
    if arguments.json {
        print(&to_pretty_json(&CardUpdateJson::new(card, &update))?)?;
        return Ok(());
    }
    let name = card.display();
    print(&match update.kind {
        UpdateKind::Created => format!("{name} is new and has the emissions\n"),
        UpdateKind::Unchanged => format!("{name} had these emissions already\n"),
        _ => format!("{name} has the emissions\n"),
    })?;
    eprint_card_update(&update);
    Ok(())
}

/// Says what else happened to the card.
pub(crate) fn eprint_card_update(update: &CardUpdate) {
    if let Some(base) = &update.base_model {
        eprint_message(format_args!("it names {base} as its base model"));
    }
    if let Some(picture) = &update.plot {
        eprint_message(format_args!("{} shows the power, and the card shows it", picture.display()));
    }
    if let Some(replaced) = &update.replaced_emissions {
        eprint_message(format_args!("it named emissions of another origin, which are replaced: {replaced}"));
    }
    if let Some(replaced) = &update.replaced_report {
        eprint_message(format_args!("it had a dia_report of another origin, which is replaced: {replaced}"));
    }
}

/// A file, or the one in a folder.
fn read_footprint(path: &Path) -> anyhow::Result<Footprint> {
    let file = if path.is_dir() { path.join(Footprint::FILE_NAME) } else { path.to_owned() };
    match Footprint::read(&file) {
        Err(error @ sootprint::FootprintError::File { .. }) => {
            let next_step = "name the footprint.json of a run, or the folder that the run was given";
            Err(error).context(next_step)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be used", file.display())),
        Ok(footprint) => Ok(footprint),
    }
}

#[derive(Serialize)]
struct CardUpdateJson<'a> {
    card: &'a Path,
    /// `created`, `edited` or `unchanged`.
    change: &'static str,
    base_model: Option<&'a str>,
    picture: Option<&'a Path>,
    replaced: Option<&'a str>,
    replaced_report: Option<&'a str>,
}

impl<'a> CardUpdateJson<'a> {
    fn new(card: &'a Path, update: &'a CardUpdate) -> Self {
        Self {
            card,
            change: match update.kind {
                UpdateKind::Created => "created",
                UpdateKind::Unchanged => "unchanged",
                _ => "edited",
            },
            base_model: update.base_model.as_deref(),
            picture: update.plot.as_deref(),
            replaced: update.replaced_emissions.as_deref(),
            replaced_report: update.replaced_report.as_deref(),
        }
    }
}

fn show(arguments: &CardShowArgs) -> anyhow::Result<()> {
    let card = ModelCard::open(&arguments.card)?;
    let block = card.emissions().with_context(|| arguments.card.display().to_string())?;
    if arguments.json {
        print(&to_pretty_json(&block)?)?;
        return Ok(());
    }
    match block {
        Some(block) => print_titled(&render_block(&block))?,
        None => print(&format!("{} names no emissions\n", arguments.card.display()))?,
    }
    Ok(())
}

fn render_block(block: &EmissionsBlock) -> String {
    let energy = block.energy_consumed.map(|energy| energy.to_string());
    let lines = [
        ("emissions", Some(format!("{} CO2e", block.emissions))),
        ("source", block.source.clone()),
        ("training_type", block.training_type.clone()),
        ("geographical_location", block.geographical_location.clone()),
        ("hardware_used", block.hardware_used.clone()),
        ("energy_consumed", energy),
    ];
    lines.iter().filter_map(|(key, value)| Some(wrap_titled(key, VALUE_COLUMN, value.as_deref()?))).collect()
}

/// # Errors
/// When the card cannot be read, or the Hub misreads it.
fn check(arguments: &CardCheckArgs) -> anyhow::Result<()> {
    let path = &arguments.card;
    let lint = CardLint::lint(&ModelCard::open(path)?);
    if arguments.json {
        print(&to_pretty_json(&CardLintJson { is_sound: lint.is_clean(), lint: &lint })?)?;
    } else {
        print_titled(&render_lint(path, &lint))?;
    }
    match lint.findings.iter().filter(|diagnostic| diagnostic.severity == Severity::Fault).count() {
        0 => Ok(()),
        1 => bail!("{}: one value is misread", path.display()),
        errors => bail!("{}: {errors} values are misread", path.display()),
    }
}

#[derive(Serialize)]
struct CardLintJson<'a> {
    is_sound: bool,
    #[serde(flatten)]
    lint: &'a CardLint,
}

fn render_lint(path: &Path, lint: &CardLint) -> String {
    if !lint.is_there {
        return format!("{} names no emissions, and so the Hub shows none\n", path.display());
    }
    let values = lint.values.iter().map(|(key, text)| wrap_titled(key, VALUE_COLUMN, text));
    let mut text = values.collect::<String>();
    text += &wrap_titled("Hub", 8, &render_hub_view(lint));
    for diagnostic in &lint.findings {
        let title = if diagnostic.severity == Severity::Fault { "Fault" } else { "Note" };
        text += &wrap_titled(title, 8, &diagnostic.to_string());
    }
    text
}

/// What the Hub makes of the block.
fn render_hub_view(lint: &CardLint) -> String {
    let tag = "the model has the tag co2_eq_emissions, by which it is found";
    match lint.filtered {
        Some(grams) => format!("{tag}; filters by emissions compare {} g of CO2e", grams.grams()),
        None => format!("{tag}; filters by emissions pass it over"),
    }
}
