#![expect(clippy::float_cmp, reason = "figures are copied, not computed")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use sootprint_core::format::error_chain;
use sootprint_core::{CarbonIntensity, LocationSource, Pue, PueOrigin};

use super::settings_file::SettingsScope;
use super::*;

/// An environment of the year 2026 with only these variables.
fn env_with(variables: &[(&str, &str)]) -> ProcessEnv {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    ProcessEnv { variables, year: 2026, ..ProcessEnv::default() }
}

fn resolve(arguments: RunArguments, variables: &[(&str, &str)]) -> RunSettings {
    RunSettings::resolve(arguments, &env_with(variables))
}

/// The settings with one file, and the folder that contains it.
fn settings_from_file(text: &str, variables: &[(&str, &str)]) -> (RunSettings, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sootprint.toml");
    fs::write(&path, text).unwrap();
    let files = vec![SettingsFile { scope: SettingsScope::User, path }];
    (RunSettings::resolve(RunArguments::default(), &ProcessEnv { files, ..env_with(variables) }), dir)
}

fn error_texts(settings: &RunSettings) -> Vec<String> {
    settings.errors.iter().map(|error| error_chain(error)).collect()
}

fn zone_and_origin(settings: &RunSettings) -> (Option<&str>, LocationSource) {
    (settings.grid.zone.as_deref(), settings.grid.origin)
}

#[test]
fn arguments_override_environment() {
    let variables = [("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_PUE", "1.2")];
    let settings = resolve(RunArguments::default(), &variables);
    assert_eq!(zone_and_origin(&settings), (Some("FR"), LocationSource::Environment));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.2, PueOrigin::Environment));

    let arguments =
        RunArguments { place: "Germany".parse().ok(), pue: Pue::new(1.05).ok(), ..RunArguments::default() };
    let settings = resolve(arguments, &variables);
    assert_eq!(zone_and_origin(&settings), (Some("DE"), LocationSource::Argument));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.05, PueOrigin::Argument));
}

#[test]
fn environment_overrides_files_in_order() {
    let text = "place = \"DE\"\npue = 1\nnvml = \"/lib/nvml.so\"\nbaseline = 1.5\nmetadata = false\n";
    let (settings, _dir) = settings_from_file(text, &[]);
    assert!(settings.errors.is_empty(), "{:?}", error_texts(&settings));
    assert_eq!(zone_and_origin(&settings), (Some("DE"), LocationSource::Settings));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.0, PueOrigin::Settings));
    assert_eq!(settings.nvml.as_deref(), Some("/lib/nvml.so".as_ref()));
    assert_eq!(settings.baseline, Some(Duration::from_millis(1_500)));
    assert!(!settings.query_cloud_metadata);

    let (settings, _dir) =
        settings_from_file(text, &[("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_BASELINE", "3")]);
    assert_eq!(zone_and_origin(&settings), (Some("FR"), LocationSource::Environment));
    assert_eq!(settings.baseline, Some(Duration::from_secs(3)));
    assert_eq!(settings.pue.origin(), PueOrigin::Settings, "each key is resolved separately");
}

#[test]
fn user_defaults_prefer_environment_over_file() {
    let load_defaults = |text: &str, variables: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sootprint.toml");
        fs::write(&path, text).unwrap();
        let files = vec![SettingsFile { scope: SettingsScope::Project, path }];
        UserDefaults::from_env(&ProcessEnv { files, ..env_with(variables) })
    };
    let repository_and_provider =
        |found: &UserDefaults| (found.repository.as_ref().map(ToString::to_string), found.provider.clone());
    let pair = |repository: &str, provider: &str| (Some(repository.to_owned()), Some(provider.to_owned()));
    let text = "repository = \"me/digits\"\nprovider = \"uk\"\nplace = \"GB\"\n";
    let found = load_defaults(text, &[]).unwrap();
    assert_eq!(repository_and_provider(&found), pair("me/digits", "uk"));
    let found = load_defaults(text, &[("SOOTPRINT_REPOSITORY", "you/digits")]).unwrap();
    assert_eq!(repository_and_provider(&found), pair("you/digits", "uk"));
    assert_eq!(load_defaults("", &[]).unwrap(), UserDefaults::default());
    for (text, variables, what) in [
        ("repository = \"digits\"", &[][..], "`repository` in "),
        ("repository = 3", &[], "expected a quoted string"),
        (
            "",
            &[("SOOTPRINT_REPOSITORY", "me/digits/x")],
            "SOOTPRINT_REPOSITORY: invalid value: invalid repository `me/digits/x`: expected `owner/name`",
        ),
        ("repositry = \"me/digits\"", &[], "did you mean `repository`?"),
    ] {
        let error = error_chain(&load_defaults(text, variables).unwrap_err());
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn project_file_precedes_user_and_site() {
    let dir = tempfile::tempdir().unwrap();
    let (project, home, site) =
        (dir.path().join("a/project"), dir.path().join("home"), dir.path().join("site.toml"));
    let working = project.join("deep/down");
    fs::create_dir_all(&working).unwrap();
    fs::create_dir_all(home.join(".config/sootprint")).unwrap();
    fs::write(dir.path().join("a/sootprint.toml"), "place = \"PL\"").unwrap();
    fs::write(project.join("sootprint.toml"), "place = \"SE\"").unwrap();
    fs::write(home.join(".config/sootprint/sootprint.toml"), "place = \"NO\"\npue = 1.3").unwrap();
    fs::write(&site, "place = \"DK\"\npue = 1.4\nbaseline = 2").unwrap();

    let home = home.to_string_lossy().into_owned();
    let env = env_with(&[("HOME", &home)]);
    let files = env.settings_files(Some(&working), &site);
    let scopes: Vec<SettingsScope> = files.iter().map(|file| file.scope).collect();
    assert_eq!(scopes, [SettingsScope::Project, SettingsScope::User, SettingsScope::Site]);
    assert_eq!(files[0].path, project.join("sootprint.toml"));
    let settings = RunSettings::resolve(RunArguments::default(), &ProcessEnv { files, ..env });
    assert_eq!(zone_and_origin(&settings), (Some("SE"), LocationSource::Settings));
    assert_eq!((settings.pue.factor(), settings.baseline), (1.3, Some(Duration::from_secs(2))));

    // A missing file is not an error.
    assert!(self::env_with(&[]).settings_files(Some(Path::new("/")), Path::new("/nowhere")).is_empty());
    let relative_config = self::env_with(&[("HOME", &home), ("XDG_CONFIG_HOME", "relative")]);
    assert_eq!(
        relative_config.settings_files(None, Path::new("/nowhere")).len(),
        1,
        "a relative path is ignored"
    );
}

#[test]
fn file_errors_keep_valid_keys() {
    let (settings, dir) = settings_from_file(
        "plase = \"FR\"\nintensity = \"56\"\npue = 0.5\nplace = \"Frnace\"\nbaseline = -1\nseries = \"no.csv\"\nnvml = \"/x\"\n",
        &[],
    );
    let found = error_texts(&settings);
    let file = dir.path().join("sootprint.toml").display().to_string();
    for (key, what) in [
        ("plase", "unknown key (did you mean `place`?)"),
        ("intensity", "expected a number"),
        ("pue", "invalid PUE 0.5"),
        ("place", "did you mean France?"),
        ("baseline", "invalid baseline -1 s"),
        ("series", "cannot read the series"),
    ] {
        let start = format!("`{key}` in {file}");
        assert!(found.iter().any(|it| it.starts_with(&start) && it.contains(what)), "{key}: {found:?}");
    }
    assert_eq!((found.len(), settings.nvml.is_some()), (6, true));
    // Text that may be published contains no paths.
    let folder = dir.path().display().to_string();
    for error in &settings.errors {
        let text = error.without_path();
        assert!(text.contains("in the user's sootprint.toml") && !text.contains(&folder), "{text}");
    }
}

#[test]
fn unreadable_file_is_reported_with_path() {
    let (settings, dir) = settings_from_file("pue = 1.2\nplace = France\n", &[]);
    let [error] = &error_texts(&settings)[..] else { panic!("{:?}", error_texts(&settings)) };
    let file = dir.path().join("sootprint.toml");
    assert!(error.starts_with(&format!("{}, line 2: ", file.display())), "{error}");
    assert_eq!((zone_and_origin(&settings), settings.pue), ((None, LocationSource::Unknown), Pue::ASSUMED));

    let files = vec![SettingsFile { scope: SettingsScope::Site, path: dir.path().to_owned() }];
    let settings = RunSettings::resolve(RunArguments::default(), &ProcessEnv { files, ..env_with(&[]) });
    assert!(error_texts(&settings)[0].starts_with("cannot read "), "{:?}", error_texts(&settings));
}

#[test]
fn explicit_intensity_overrides_table() {
    let settings =
        resolve(RunArguments::default(), &[("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_INTENSITY", "12.5")]);
    assert_eq!(settings.grid.intensity.grams_per_kilowatt_hour(), 12.5);
    assert_eq!((settings.grid.zone.as_deref(), settings.grid.year), (Some("FR"), None));
    // A place given as an argument overrides an intensity in the environment.
    let arguments = RunArguments { place: "DE".parse().ok(), ..RunArguments::default() };
    let settings = resolve(arguments, &[("SOOTPRINT_INTENSITY", "12.5")]);
    assert_eq!(
        (zone_and_origin(&settings), settings.grid.year),
        ((Some("DE"), LocationSource::Argument), Some(2025))
    );
}

#[test]
fn series_overrides_table_and_disables_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hours.csv");
    fs::write(&path, "start,g_per_kwh\n2026-10-03T00:00Z,83\n").unwrap();
    let path = path.to_string_lossy().into_owned();
    let settings =
        resolve(RunArguments::default(), &[("SOOTPRINT_SERIES", &path), ("SOOTPRINT_PLACE", "FR")]);
    assert_eq!(settings.series.as_ref().map(|series| series.periods().len()), Some(1));
    assert_eq!(zone_and_origin(&settings), (Some("FR"), LocationSource::Environment));
    assert!(!settings.query_cloud_metadata);
    // An intensity given as an argument overrides a series in the environment.
    let arguments = RunArguments {
        intensity: CarbonIntensity::try_from_grams_per_kilowatt_hour(5.0).ok(),
        ..RunArguments::default()
    };
    assert!(resolve(arguments, &[("SOOTPRINT_SERIES", &path)]).series.is_none());
}

#[test]
fn cloud_region_gives_default_pue() {
    let settings = resolve(RunArguments::default(), &[("SOOTPRINT_PLACE", "aws:us-east-1")]);
    assert_eq!(
        (settings.pue.factor(), settings.pue.origin(), settings.pue.year()),
        (1.15, PueOrigin::Region, Some(2025))
    );
    let variables = [("SOOTPRINT_PLACE", "aws:us-east-1"), ("SOOTPRINT_PUE", "1.5")];
    assert_eq!(resolve(RunArguments::default(), &variables).pue.origin(), PueOrigin::Environment);
}

#[test]
fn time_zone_is_last_resort() {
    let in_paris =
        |variables| ProcessEnv { time_zone: Some("Europe/Paris".to_owned()), ..env_with(variables) };
    let settings = RunSettings::resolve(RunArguments::default(), &in_paris(&[]));
    assert_eq!(zone_and_origin(&settings), (Some("FR"), LocationSource::TimeZone));
    assert!(settings.query_cloud_metadata, "the cloud region is more precise than the time zone");
    let settings = RunSettings::resolve(RunArguments::default(), &in_paris(&[("SOOTPRINT_PLACE", "DE")]));
    assert_eq!(
        (zone_and_origin(&settings), settings.query_cloud_metadata),
        ((Some("DE"), LocationSource::Environment), false)
    );
    let everywhere = ProcessEnv { time_zone: Some("Etc/UTC".to_owned()), ..env_with(&[]) };
    assert_eq!(
        zone_and_origin(&RunSettings::resolve(RunArguments::default(), &everywhere)),
        (None, LocationSource::Unknown)
    );
}

#[test]
fn intensity_uses_year_of_run() {
    let arguments = || RunArguments { place: "FR".parse().ok(), ..RunArguments::default() };
    assert_eq!(resolve(arguments(), &[]).grid.year, Some(2025));
    let arguments = RunArguments { year: Some(2019), ..arguments() };
    let grid = resolve(arguments, &[]).grid;
    assert_eq!((grid.year, grid.intensity.grams_per_kilowatt_hour()), (Some(2019), 59.8));
}

#[test]
fn empty_environment_gives_defaults() {
    let settings = resolve(RunArguments::default(), &[]);
    assert_eq!((settings.grid.origin, settings.pue), (LocationSource::Unknown, Pue::ASSUMED));
    assert!(!settings.is_disabled && settings.errors.is_empty() && settings.query_cloud_metadata);
    assert!(!resolve(RunArguments::default(), &[("SOOTPRINT_METADATA", "off")]).query_cloud_metadata);
    assert!(resolve(RunArguments::default(), &[("SOOTPRINT", "off")]).is_disabled);
}

#[test]
fn invalid_variables_are_reported_and_ignored() {
    let variables = [
        ("SOOTPRINT_PLACE", "Atlantis"),
        ("SOOTPRINT_INTENSITY", "many"),
        ("SOOTPRINT_PUE", "0.5"),
        ("SOOTPRINT_BASELINE", "-2"),
        ("SOOTPRINT_SERIES", "/nowhere/hours.csv"),
        ("SOOTPRINT_REPLAY", "/nowhere/script.json"),
    ];
    let settings = resolve(RunArguments::default(), &variables);
    let errors = error_texts(&settings);
    for (variable, value) in &variables {
        assert!(
            errors.iter().any(|it| it.contains(variable) && it.contains(value)),
            "{variable}: {errors:?}"
        );
    }
    assert_eq!(errors.len(), variables.len());
    assert_eq!((settings.grid.origin, settings.pue), (LocationSource::Unknown, Pue::ASSUMED));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_file_never_panics(text in any::<String>(), key in "[a-z]{1,9}", value in "[-+0-9.eE_\"'\\[\\]a-z]{0,12}") {
        let keys =
            ["place", "intensity", "series", "pue", "nvml", "baseline", "metadata", "provider", "repository", &key];
        let lines: String = keys.iter().map(|key| format!("{key} = {value}\n")).collect();
        for text in [text, lines] {
            let (settings, _dir) = settings_from_file(&text, &[]);
            prop_assert!(settings.pue.factor() >= 1.0);
            prop_assert!((0.0..=3_000.0).contains(&settings.grid.intensity.grams_per_kilowatt_hour()));
        }
    }
}
