//! `sootprint card`: writes, shows and checks the emissions in a model card.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use sootprint::{Footprint, FootprintError, UserDefaults};
use sootprint_card::{
    BaseModelRelation, CardLint, CardOptions, CardUpdate, CardWriter, EmissionsBlock, ModelCard, Severity,
    UpdateKind,
};

use crate::args::{CardCheckArgs, CardCommand, CardShowArgs, CardWriteArgs};
use crate::error_text::describe_error;
use crate::new_card::card_template;
use crate::project_settings::eprint_project_settings;
use crate::records::newest_footprint;
use crate::terminal::{eprint_message, print, print_titled, to_pretty_json};
use crate::wrap::wrap_titled;

/// The column where the values of a block start.
const VALUE_COLUMN: usize = 24;

/// Runs a subcommand of `card`.
pub(crate) fn run_card(command: &CardCommand) -> anyhow::Result<()> {
    match command {
        CardCommand::Write(arguments) => write(arguments),
        CardCommand::Show(arguments) => show(arguments),
        CardCommand::Check(arguments) => check(arguments),
    }
}

fn write(arguments: &CardWriteArgs) -> anyhow::Result<()> {
    // A fault in the settings would leave out metadata of a new card.
    UserDefaults::load()?;
    eprint_project_settings();
    let footprint = read_footprint(&arguments.footprint)?;
    let mut options = CardOptions::default()
        .plot(!arguments.no_picture)
        .dia_report(!arguments.no_report)
        .relation(arguments.relation.map(BaseModelRelation::from));
    if let Some(base) = &arguments.base_card {
        options = options.with_base_model_card(ModelCard::open(base)?);
    }
    let card = &arguments.card;
    let update = CardWriter::new(&footprint)
        .options(options)
        .template(card_template(&arguments.fields))
        .replace_read_only(arguments.force)
        .write(card)?;
    if arguments.json {
        print(&to_pretty_json(&CardUpdateJson::new(card, &update))?)?;
        return Ok(());
    }
    let name = card.display();
    print(&match update.kind {
        UpdateKind::Created => format!("created {name} with the emissions\n"),
        UpdateKind::Unchanged => format!("{name} already has these emissions\n"),
        _ => format!("wrote the emissions into {name}\n"),
    })?;
    eprint_card_update(&update);
    Ok(())
}

/// Prints the other changes to the card on stderr.
pub(crate) fn eprint_card_update(update: &CardUpdate) {
    if let Some(base) = &update.base_model {
        eprint_message(format_args!("added the base model {base} to the card"));
    }
    if let Some(plot) = &update.plot {
        eprint_message(format_args!("wrote the power plot {}, shown in the card", plot.display()));
    }
    if let Some(replaced) = &update.replaced_emissions {
        eprint_message(format_args!("replaced emissions from another source: {replaced}"));
    }
    if let Some(replaced) = &update.replaced_report {
        eprint_message(format_args!("replaced a dia_report from another source: {replaced}"));
    }
    for change in &update.file_changes {
        eprint_message(format_args!("{change}"));
    }
}

/// Reads a footprint file, or the newest run of a folder.
fn read_footprint(path: &Path) -> anyhow::Result<Footprint> {
    if path.is_dir() {
        return newest_footprint(path);
    }
    match Footprint::read(path) {
        Ok(footprint) => Ok(footprint),
        Err(error @ FootprintError::File { .. }) => {
            bail!("{}; pass the footprint.json of a run, or its folder", describe_error(&error))
        }
        Err(error) => Err(error).with_context(|| format!("cannot use {}", path.display())),
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
        None => print(&format!("{} has no emissions\n", arguments.card.display()))?,
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
/// If the card cannot be parsed, or the Hub misreads a value.
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
        1 => bail!("{}: the Hub misreads 1 value", path.display()),
        errors => bail!("{}: the Hub misreads {errors} values", path.display()),
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
        return format!("{} has no emissions, so the Hub shows none\n", path.display());
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

/// How the Hub tags and filters the model.
fn render_hub_view(lint: &CardLint) -> String {
    let tag = "tagged co2_eq_emissions";
    match lint.filtered {
        Some(grams) => format!("{tag}; emission filters use {} g CO2e", grams.grams()),
        None => format!("{tag}; emission filters skip the model"),
    }
}
