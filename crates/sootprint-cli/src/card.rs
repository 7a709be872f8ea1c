//! `sootprint card`: the emissions in a model card, written, shown and checked.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use sootprint::{FILE_NAME, Footprint};
use sootprint_card::{
    CardCheck, CardOptions, Change, EmissionsBlock, ModelCard, NewCard, Relation, Severity, Written,
    write_card_with,
};

use crate::arguments::{CardAct, CardCheckArguments, CardShow, CardWrite};
use crate::layout::paragraph;
use crate::terminal::{json, print, print_titled, say};

/// Where the values of a block begin.
const COLUMN: usize = 24;

/// Does what is asked for.
pub(crate) fn card(act: &CardAct) -> anyhow::Result<()> {
    match act {
        CardAct::Write(arguments) => write(arguments),
        CardAct::Show(arguments) => show(arguments),
        CardAct::Check(arguments) => check(arguments),
    }
}

fn write(arguments: &CardWrite) -> anyhow::Result<()> {
    let footprint = footprint(&arguments.footprint)?;
    let mut options = CardOptions::default()
        .picture(!arguments.no_picture)
        .dia_report(!arguments.no_report)
        .relation(arguments.relation.map(Relation::from));
    if let Some(base) = &arguments.base_card {
        options = options.base_card(ModelCard::open(base)?);
    }
    let card = &arguments.card;
    let written = write_card_with(card, &footprint, &NewCard::default(), &options)?;
    if arguments.json {
        print(&json(&WrittenJson::new(card, &written))?)?;
        return Ok(());
    }
    let name = card.display();
    print(&match written.change {
        Change::Created => format!("{name} is new and has the emissions\n"),
        Change::Unchanged => format!("{name} had these emissions already\n"),
        _ => format!("{name} has the emissions\n"),
    })?;
    say_written(&written);
    Ok(())
}

/// Says what else happened to the card.
pub(crate) fn say_written(written: &Written) {
    if let Some(base) = &written.base_model {
        say(format_args!("it names {base} as its base model"));
    }
    if let Some(picture) = &written.picture {
        say(format_args!("{} shows the power, and the card shows it", picture.display()));
    }
    if let Some(replaced) = &written.replaced {
        say(format_args!("it named emissions of another origin, which are replaced: {replaced}"));
    }
    if let Some(replaced) = &written.replaced_report {
        say(format_args!("it had a dia_report of another origin, which is replaced: {replaced}"));
    }
}

/// A file, or the one in a folder.
fn footprint(path: &Path) -> anyhow::Result<Footprint> {
    let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
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
struct WrittenJson<'a> {
    card: &'a Path,
    /// `created`, `edited` or `unchanged`.
    change: &'static str,
    base_model: Option<&'a str>,
    picture: Option<&'a Path>,
    replaced: Option<&'a str>,
    replaced_report: Option<&'a str>,
}

impl<'a> WrittenJson<'a> {
    fn new(card: &'a Path, written: &'a Written) -> Self {
        Self {
            card,
            change: match written.change {
                Change::Created => "created",
                Change::Unchanged => "unchanged",
                _ => "edited",
            },
            base_model: written.base_model.as_deref(),
            picture: written.picture.as_deref(),
            replaced: written.replaced.as_deref(),
            replaced_report: written.replaced_report.as_deref(),
        }
    }
}

fn show(arguments: &CardShow) -> anyhow::Result<()> {
    let card = ModelCard::open(&arguments.card)?;
    let block = card.emissions().with_context(|| arguments.card.display().to_string())?;
    if arguments.json {
        print(&json(&block)?)?;
        return Ok(());
    }
    match block {
        Some(block) => print_titled(&block_in_words(&block))?,
        None => print(&format!("{} names no emissions\n", arguments.card.display()))?,
    }
    Ok(())
}

fn block_in_words(block: &EmissionsBlock) -> String {
    let energy = block.energy_consumed.map(|energy| energy.to_string());
    let lines = [
        ("emissions", Some(format!("{} CO2e", block.emissions))),
        ("source", block.source.clone()),
        ("training_type", block.training_type.clone()),
        ("geographical_location", block.geographical_location.clone()),
        ("hardware_used", block.hardware_used.clone()),
        ("energy_consumed", energy),
    ];
    lines.iter().filter_map(|(key, value)| Some(paragraph(key, COLUMN, value.as_deref()?))).collect()
}

/// # Errors
/// When the card cannot be read, or the Hub misreads it.
fn check(arguments: &CardCheckArguments) -> anyhow::Result<()> {
    let path = &arguments.card;
    let found = CardCheck::of(&ModelCard::open(path)?);
    if arguments.json {
        print(&json(&CheckJson { is_sound: found.is_sound(), found: &found })?)?;
    } else {
        print_titled(&check_in_words(path, &found))?;
    }
    match found.findings.iter().filter(|finding| finding.severity == Severity::Fault).count() {
        0 => Ok(()),
        1 => bail!("{}: one value is misread", path.display()),
        faults => bail!("{}: {faults} values are misread", path.display()),
    }
}

#[derive(Serialize)]
struct CheckJson<'a> {
    is_sound: bool,
    #[serde(flatten)]
    found: &'a CardCheck,
}

fn check_in_words(path: &Path, found: &CardCheck) -> String {
    if !found.is_there {
        return format!("{} names no emissions, and so the Hub shows none\n", path.display());
    }
    let values = found.values.iter().map(|(key, text)| paragraph(key, COLUMN, text));
    let mut text = values.collect::<String>();
    text += &paragraph("Hub", 8, &hub(found));
    for finding in &found.findings {
        let title = if finding.severity == Severity::Fault { "Fault" } else { "Note" };
        text += &paragraph(title, 8, &finding.to_string());
    }
    text
}

/// What the Hub makes of the block.
fn hub(found: &CardCheck) -> String {
    let tag = "the model has the tag co2_eq_emissions, by which it is found";
    match found.filtered {
        Some(grams) => format!("{tag}; filters by emissions compare {} g of CO2e", grams.grams()),
        None => format!("{tag}; filters by emissions pass it over"),
    }
}
