#![expect(clippy::float_cmp, reason = "figures are copied, not computed")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::file::Owner;
use super::*;

/// A machine of the year 2026 with these variables and nothing else.
fn machine(variables: &[(&str, &str)]) -> Machine {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Machine { variables, year: 2026, ..Machine::default() }
}

fn resolve(arguments: Arguments, variables: &[(&str, &str)]) -> Settings {
    Settings::resolve(arguments, &machine(variables))
}

/// The settings with one file, which a folder holds.
fn with_file(text: &str, variables: &[(&str, &str)]) -> (Settings, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sootprint.toml");
    fs::write(&path, text).unwrap();
    let files = vec![SettingsFile { owner: Owner::User, path }];
    (Settings::resolve(Arguments::default(), &Machine { files, ..machine(variables) }), dir)
}

fn problems(settings: &Settings) -> Vec<String> {
    settings.problems.iter().map(ToString::to_string).collect()
}

fn zone(settings: &Settings) -> (Option<&str>, Origin) {
    (settings.grid.zone.as_deref(), settings.grid.origin)
}

#[test]
fn arguments_beat_the_environment_and_each_says_its_origin() {
    let variables = [("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_PUE", "1.2")];
    let settings = resolve(Arguments::default(), &variables);
    assert_eq!(zone(&settings), (Some("FR"), Origin::Environment));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.2, PueOrigin::Environment));

    let arguments =
        Arguments { place: "Germany".parse().ok(), pue: Pue::new(1.05).ok(), ..Arguments::default() };
    let settings = resolve(arguments, &variables);
    assert_eq!(zone(&settings), (Some("DE"), Origin::Argument));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.05, PueOrigin::Argument));
}

#[test]
fn the_environment_beats_the_files_and_the_first_file_the_next() {
    let text = "place = \"DE\"\npue = 1\nnvml = \"/lib/nvml.so\"\nbaseline = 1.5\nmetadata = false\n";
    let (settings, _dir) = with_file(text, &[]);
    assert!(settings.problems.is_empty(), "{:?}", problems(&settings));
    assert_eq!(zone(&settings), (Some("DE"), Origin::Settings));
    assert_eq!((settings.pue.factor(), settings.pue.origin()), (1.0, PueOrigin::Settings));
    assert_eq!(settings.nvml.as_deref(), Some("/lib/nvml.so".as_ref()));
    assert_eq!(settings.baseline, Some(Duration::from_millis(1_500)));
    assert!(!settings.asks_metadata);

    let (settings, _dir) = with_file(text, &[("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_BASELINE", "3")]);
    assert_eq!(zone(&settings), (Some("FR"), Origin::Environment));
    assert_eq!(settings.baseline, Some(Duration::from_secs(3)));
    assert_eq!(settings.pue.origin(), PueOrigin::Settings, "each setting by itself");
}

#[test]
fn who_publishes_and_asks_finds_what_the_variable_or_the_file_says() {
    let preferences = |text: &str, variables: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sootprint.toml");
        fs::write(&path, text).unwrap();
        let files = vec![SettingsFile { owner: Owner::Project, path }];
        Preferences::of(&Machine { files, ..machine(variables) })
    };
    let text = "repository = \"me/digits\"\nprovider = \"uk\"\nplace = \"GB\"\n";
    let found = preferences(text, &[]).unwrap();
    assert_eq!((found.repository.as_deref(), found.provider.as_deref()), (Some("me/digits"), Some("uk")));
    let found = preferences(text, &[("SOOTPRINT_REPOSITORY", "you/digits")]).unwrap();
    assert_eq!((found.repository.as_deref(), found.provider.as_deref()), (Some("you/digits"), Some("uk")));
    assert_eq!(preferences("", &[]).unwrap(), Preferences::default());
    for (text, variables, what) in [
        ("repository = \"digits\"", &[][..], "`repository` in "),
        ("repository = 3", &[], "should be a text"),
        ("", &[("SOOTPRINT_REPOSITORY", "me/digits/x")], "SOOTPRINT_REPOSITORY should be a repository"),
        ("repositry = \"me/digits\"", &[], "did you mean `repository`?"),
    ] {
        let error = preferences(text, variables).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn the_nearest_project_s_file_goes_before_the_user_s_and_the_site_s() {
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
    let machine = machine(&[("HOME", &home)]);
    let files = machine.settings_files(Some(&working), &site);
    let owners: Vec<Owner> = files.iter().map(|file| file.owner).collect();
    assert_eq!(owners, [Owner::Project, Owner::User, Owner::Site]);
    assert_eq!(files[0].path, project.join("sootprint.toml"));
    let settings = Settings::resolve(Arguments::default(), &Machine { files, ..machine });
    assert_eq!(zone(&settings), (Some("SE"), Origin::Settings));
    assert_eq!((settings.pue.factor(), settings.baseline), (1.3, Some(Duration::from_secs(2))));

    // Nowhere is no file, and that is no problem.
    assert!(self::machine(&[]).settings_files(Some(Path::new("/")), Path::new("/nowhere")).is_empty());
    let elsewhere = self::machine(&[("HOME", &home), ("XDG_CONFIG_HOME", "relative")]);
    assert_eq!(elsewhere.settings_files(None, Path::new("/nowhere")).len(), 1, "a relative path is ignored");
}

#[test]
fn what_is_wrong_in_a_file_is_named_and_the_rest_of_it_stands() {
    let (settings, dir) = with_file(
        "plase = \"FR\"\nintensity = \"56\"\npue = 0.5\nplace = \"Frnace\"\nbaseline = -1\nseries = \"no.csv\"\nnvml = \"/x\"\n",
        &[],
    );
    let found = problems(&settings);
    let file = dir.path().join("sootprint.toml").display().to_string();
    for (key, what) in [
        ("plase", "is no setting (did you mean `place`?)"),
        ("intensity", "should be a number"),
        ("pue", "a PUE of 0.5 is not possible"),
        ("place", "did you mean France?"),
        ("baseline", "is `-1`, which is no number that fits"),
        ("series", "cannot read the series"),
    ] {
        let start = format!("`{key}` in {file}");
        assert!(found.iter().any(|it| it.starts_with(&start) && it.contains(what)), "{key}: {found:?}");
    }
    assert_eq!((found.len(), settings.nvml.is_some()), (6, true));
    // No path of the user's is in what may be published.
    let folder = dir.path().display().to_string();
    for problem in &settings.problems {
        let text = problem.without_path();
        assert!(text.contains("in the user's sootprint.toml") && !text.contains(&folder), "{text}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_cannot_be_read_is_named() {
    let (settings, dir) = with_file("pue = 1.2\nplace = France\n", &[]);
    let [problem] = &problems(&settings)[..] else { panic!("{:?}", problems(&settings)) };
    let file = dir.path().join("sootprint.toml");
    assert!(problem.starts_with(&format!("{}, line 2: ", file.display())), "{problem}");
    assert_eq!((zone(&settings), settings.pue), ((None, Origin::Unknown), Pue::ASSUMED));

    let files = vec![SettingsFile { owner: Owner::Site, path: dir.path().to_owned() }];
    let settings = Settings::resolve(Arguments::default(), &Machine { files, ..machine(&[]) });
    assert!(problems(&settings)[0].starts_with("cannot read "), "{:?}", problems(&settings));
}

#[test]
fn a_given_intensity_stands_for_the_named_place() {
    let settings =
        resolve(Arguments::default(), &[("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_INTENSITY", "12.5")]);
    assert_eq!(settings.grid.intensity.grams_per_kilowatt_hour(), 12.5);
    assert_eq!((settings.grid.zone.as_deref(), settings.grid.year), (Some("FR"), None));
    // A place that was named in the call goes before a figure that is in the environment.
    let arguments = Arguments { place: "DE".parse().ok(), ..Arguments::default() };
    let settings = resolve(arguments, &[("SOOTPRINT_INTENSITY", "12.5")]);
    assert_eq!((zone(&settings), settings.grid.year), ((Some("DE"), Origin::Argument), Some(2025)));
}

#[test]
fn a_series_goes_first_and_what_it_does_not_cover_has_a_figure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hours.csv");
    fs::write(&path, "start,g_per_kwh\n2026-10-03T00:00Z,83\n").unwrap();
    let path = path.to_string_lossy().into_owned();
    let settings = resolve(Arguments::default(), &[("SOOTPRINT_SERIES", &path), ("SOOTPRINT_PLACE", "FR")]);
    assert_eq!(settings.series.as_ref().map(|series| series.periods().len()), Some(1));
    assert_eq!(zone(&settings), (Some("FR"), Origin::Environment));
    assert!(!settings.asks_metadata);
    // A figure that was named in the call goes before a series that is in the environment.
    let arguments = Arguments { intensity: CarbonIntensity::given(5.0).ok(), ..Arguments::default() };
    assert!(resolve(arguments, &[("SOOTPRINT_SERIES", &path)]).series.is_none());
}

#[test]
fn a_cloud_s_region_brings_its_pue_and_a_word_of_the_user_s_stands() {
    let settings = resolve(Arguments::default(), &[("SOOTPRINT_PLACE", "aws:us-east-1")]);
    assert_eq!(
        (settings.pue.factor(), settings.pue.origin(), settings.pue.year()),
        (1.15, PueOrigin::Region, Some(2024))
    );
    let variables = [("SOOTPRINT_PLACE", "aws:us-east-1"), ("SOOTPRINT_PUE", "1.5")];
    assert_eq!(resolve(Arguments::default(), &variables).pue.origin(), PueOrigin::Environment);
}

#[test]
fn the_time_zone_is_a_guess_and_the_last_resort() {
    let in_paris = |variables| Machine { time_zone: Some("Europe/Paris".to_owned()), ..machine(variables) };
    let settings = Settings::resolve(Arguments::default(), &in_paris(&[]));
    assert_eq!(zone(&settings), (Some("FR"), Origin::TimeZone));
    assert!(settings.asks_metadata, "the cloud knows better");
    let settings = Settings::resolve(Arguments::default(), &in_paris(&[("SOOTPRINT_PLACE", "DE")]));
    assert_eq!((zone(&settings), settings.asks_metadata), ((Some("DE"), Origin::Environment), false));
    let everywhere = Machine { time_zone: Some("Etc/UTC".to_owned()), ..machine(&[]) };
    assert_eq!(zone(&Settings::resolve(Arguments::default(), &everywhere)), (None, Origin::Unknown));
}

#[test]
fn figures_are_of_the_run_s_year() {
    let arguments = || Arguments { place: "FR".parse().ok(), ..Arguments::default() };
    assert_eq!(resolve(arguments(), &[]).grid.year, Some(2025));
    let arguments = Arguments { year: Some(2019), ..arguments() };
    let grid = resolve(arguments, &[]).grid;
    assert_eq!((grid.year, grid.intensity.grams_per_kilowatt_hour()), (Some(2019), 59.8));
}

#[test]
fn nothing_said_is_said() {
    let settings = resolve(Arguments::default(), &[]);
    assert_eq!((settings.grid.origin, settings.pue), (Origin::Unknown, Pue::ASSUMED));
    assert!(!settings.is_off && settings.problems.is_empty() && settings.asks_metadata);
    assert!(!resolve(Arguments::default(), &[("SOOTPRINT_METADATA", "off")]).asks_metadata);
    assert!(resolve(Arguments::default(), &[("SOOTPRINT", "off")]).is_off);
}

#[test]
fn each_wrong_variable_is_named_and_left_out() {
    let variables = [
        ("SOOTPRINT_PLACE", "Atlantis"),
        ("SOOTPRINT_INTENSITY", "many"),
        ("SOOTPRINT_PUE", "0.5"),
        ("SOOTPRINT_BASELINE", "-2"),
        ("SOOTPRINT_SERIES", "/nowhere/hours.csv"),
        ("SOOTPRINT_REPLAY", "/nowhere/script.json"),
    ];
    let settings = resolve(Arguments::default(), &variables);
    let problems = problems(&settings);
    for (variable, value) in &variables {
        assert!(
            problems.iter().any(|it| it.contains(variable) && it.contains(value)),
            "{variable}: {problems:?}"
        );
    }
    assert_eq!(problems.len(), variables.len());
    assert_eq!((settings.grid.origin, settings.pue), (Origin::Unknown, Pue::ASSUMED));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_is_too_odd(text in any::<String>(), key in "[a-z]{1,9}", value in "[-+0-9.eE_\"'\\[\\]a-z]{0,12}") {
        let keys =
            ["place", "intensity", "series", "pue", "nvml", "baseline", "metadata", "provider", "repository", &key];
        let lines: String = keys.iter().map(|key| format!("{key} = {value}\n")).collect();
        for text in [text, lines] {
            let (settings, _dir) = with_file(&text, &[]);
            prop_assert!(settings.pue.factor() >= 1.0);
            prop_assert!((0.0..=3_000.0).contains(&settings.grid.intensity.grams_per_kilowatt_hour()));
        }
    }
}
