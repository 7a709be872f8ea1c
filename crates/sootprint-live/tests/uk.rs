//! Great Britain's provider against a stand-in on this machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod stand_in;

use std::error::Error as _;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sootprint::{
    Basis, CarbonIntensity, Figure, Footprint, Kind, Period, Power, Provider, ProviderError, Pue, Replay,
    Run, Series, VirtualClock,
};
use sootprint_live::UkCarbonIntensity;

use stand_in::{Reply, StandIn};

/// A body as the API gives it: it begins with the half-hour before the first that was asked for, and the last one is
/// not over yet.
const BODY: &str = r#"{"data":[
    {"from":"2026-10-02T23:30Z","to":"2026-10-03T00:00Z","intensity":{"forecast":110,"actual":90,"index":"low"}},
    {"from":"2026-10-03T00:00Z","to":"2026-10-03T00:30Z","intensity":{"forecast":105,"actual":83,"index":"low"}},
    {"from":"2026-10-03T00:30Z","to":"2026-10-03T01:00Z","intensity":{"forecast":97,"actual":null,"index":"low"}}
]}"#;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn provider(stand_in: &StandIn) -> UkCarbonIntensity {
    UkCarbonIntensity::new().endpoint(stand_in.url())
}

/// Asks for an hour on 3 October 2026, a little off the half-hours.
fn ask(provider: &UkCarbonIntensity) -> Result<Series, ProviderError> {
    provider.hours("GB".parse().unwrap(), time("2026-10-03T00:07:12Z"), time("2026-10-03T00:48:00Z"))
}

fn saying(reply: fn() -> Reply) -> (StandIn, UkCarbonIntensity) {
    let stand_in = StandIn::start(move |_| reply());
    let provider = provider(&stand_in);
    (stand_in, provider)
}

fn body(text: &str) -> Reply {
    Reply::Body(200, text.to_owned())
}

#[test]
fn actual_figures_come_first_and_a_forecast_is_called_one() {
    let (stand_in, provider) = saying(|| body(BODY));
    let half_hour = |start: &str, end: &str, grams, is_forecast| Period {
        start: time(start),
        end: time(end),
        intensity: CarbonIntensity::from_grams_per_kilowatt_hour(grams),
        is_forecast,
    };
    let periods = vec![
        half_hour("2026-10-03T00:00:00Z", "2026-10-03T00:30:00Z", 83.0, false),
        half_hour("2026-10-03T00:30:00Z", "2026-10-03T01:00:00Z", 97.0, true),
    ];
    let source = "NESO Carbon Intensity API, Great Britain (CC BY 4.0)";
    let expected = Series::new(source, Basis::DirectConsumption, periods).unwrap();
    assert_eq!(ask(&provider).unwrap(), expected);
    assert_eq!(stand_in.paths(), ["/intensity/2026-10-03T00:00Z/2026-10-03T01:00Z"]);
}

/// As the API's own documentation has it.
#[test]
fn the_documented_answer_is_understood() {
    let (_stand_in, provider) = saying(|| body(include_str!("samples/uk_intensity.json")));
    let series = ask(&provider).unwrap();
    assert_eq!(series.periods().len(), 1);
    assert_eq!(series.periods()[0].intensity, CarbonIntensity::from_grams_per_kilowatt_hour(83.0));
    // Every part of the island is one grid here, and so are the clouds' regions on it.
    let (from, to) = (time("2026-10-03T00:00:00Z"), time("2026-10-03T00:30:00Z"));
    assert_eq!(provider.hours("aws:eu-west-2".parse().unwrap(), from, to).unwrap(), series);
}

#[test]
fn another_grid_is_not_asked_about() {
    let (stand_in, provider) = saying(|| body(BODY));
    let error = provider
        .hours("FR".parse().unwrap(), time("2026-10-03T00:00:00Z"), time("2026-10-03T01:00:00Z"))
        .unwrap_err();
    assert!(matches!(&error, ProviderError::DoesNotCover { zone, .. } if zone == "FR"), "{error}");
    assert!(stand_in.paths().is_empty());
}

#[test]
fn a_refusal_keeps_its_number() {
    for (reply, number) in [
        ((|| Reply::Body(400, r#"{"error":{"code":"400 Bad Request"}}"#.to_owned())) as fn() -> Reply, 400),
        (|| Reply::Body(503, "<html>".to_owned()), 503),
        // Nobody is followed elsewhere.
        (|| Reply::Body(302, String::new()), 302),
    ] {
        let (_stand_in, provider) = saying(reply);
        let error = ask(&provider).unwrap_err();
        assert!(matches!(error, ProviderError::Refused { status, .. } if status == number), "{error}");
    }
}

#[test]
fn who_is_asked_too_often_says_so() {
    let (_stand_in, provider) = saying(|| Reply::Body(429, String::new()));
    assert!(matches!(ask(&provider).unwrap_err(), ProviderError::TooOften { .. }));
}

#[test]
fn who_hangs_costs_the_time_limit_and_no_more() {
    let limit = Duration::from_millis(300);
    for reply in [(|| Reply::Silence) as fn() -> Reply, || Reply::Beginning(r#"{"data":["#)] {
        let (_stand_in, provider) = saying(reply);
        let asked = Instant::now();
        let error = ask(&provider.time_limit(limit)).unwrap_err();
        assert!(matches!(error, ProviderError::TooSlow { limit: said, .. } if said == limit), "{error}");
        // Far below the ten seconds that stand without a limit, and far above what a busy machine may add.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[test]
fn who_is_not_there_is_unreachable() {
    let (_stand_in, provider) = saying(|| Reply::Bytes(b""));
    let closed = ask(&provider).unwrap_err();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = ask(&UkCarbonIntensity::new().endpoint(format!("http://{port}"))).unwrap_err();
    for error in [closed, absent] {
        assert!(matches!(error, ProviderError::Unreachable { .. }), "{error:?}");
        assert!(error.source().is_some());
    }
}

#[test]
fn nonsense_is_no_figure() {
    fn figures(from: &str, to: &str, figures: &str) -> Reply {
        body(&format!(r#"{{"data":[{{"from":"{from}","to":"{to}","intensity":{{{figures}}}}}]}}"#))
    }
    const FROM: &str = "2026-10-03T00:00Z";
    const TO: &str = "2026-10-03T00:30Z";
    let replies: [fn() -> Reply; 10] = [
        || body("<html>a hotel's door to the network</html>"),
        || body(""),
        || body(r#"{"error":{"code":"no-data"}}"#),
        // Good, were it not too long.
        || Reply::Body(200, r#"{"data":[]}"#.to_owned() + &" ".repeat(1_000_000)),
        || Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        || figures(FROM, "soon", r#""actual":83"#),
        || figures(FROM, FROM, r#""actual":83"#),
        || figures(FROM, TO, r#""actual":"83""#),
        || figures(FROM, TO, r#""actual":-83"#),
        || figures(FROM, TO, r#""actual":83000"#),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (_stand_in, provider) = saying(reply);
        let error = ask(&provider).unwrap_err();
        assert!(matches!(error, ProviderError::Nonsense { .. }), "reply {number}: {error:?}");
    }
}

#[test]
fn what_the_api_does_not_know_is_a_gap_and_no_zero() {
    let unknown: [fn() -> Reply; 3] = [
        || body(r#"{"data":[]}"#),
        || {
            body(
                r#"{"data":[{"from":"2026-10-03T00:00Z","to":"2026-10-03T00:30Z",
                "intensity":{"forecast":null,"actual":null,"index":null}}]}"#,
            )
        },
        || {
            body(
                r#"{"data":[{"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z",
                "intensity":{"forecast":266,"actual":263,"index":"moderate"}}]}"#,
            )
        },
    ];
    for reply in unknown {
        let (_stand_in, provider) = saying(reply);
        assert_eq!(ask(&provider).unwrap().periods(), []);
    }
}

/// Every half-hour that a path asks for and the one before them, as the API gives them, at one figure.
fn half_hours(path: &str, grams: u32) -> Reply {
    let mut words = path.strip_prefix("/intensity/").unwrap().split('/');
    let (from, to) = (time(words.next().unwrap()), time(words.next().unwrap()));
    assert!(to.duration_since(from) <= SignedDuration::from_hours(14 * 24), "the API would refuse {path}");
    let minute = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%MZ").to_string();
    let step = SignedDuration::from_mins(30);
    let mut data = String::new();
    let mut start = from - step;
    while start < to {
        let comma = if data.is_empty() { "" } else { "," };
        write!(
            data,
            r#"{comma}{{"from":"{}","to":"{}","intensity":{{"forecast":1,"actual":{grams},"index":"low"}}}}"#,
            minute(start),
            minute(start + step)
        )
        .unwrap();
        start += step;
    }
    body(&format!(r#"{{"data":[{data}]}}"#))
}

#[test]
fn a_month_is_asked_for_in_parts_and_no_half_hour_comes_twice() {
    let stand_in = StandIn::start(|path| half_hours(path, 120));
    let (from, to) = (time("2026-09-01T00:00:00Z"), time("2026-10-01T00:00:00Z"));
    let series = provider(&stand_in).hours("GB".parse().unwrap(), from, to).unwrap();
    assert_eq!(
        stand_in.paths(),
        [
            "/intensity/2026-09-01T00:00Z/2026-09-14T00:00Z",
            "/intensity/2026-09-14T00:00Z/2026-09-27T00:00Z",
            "/intensity/2026-09-27T00:00Z/2026-10-01T00:00Z"
        ]
    );
    let periods = series.periods();
    assert_eq!((periods.len(), periods[0].start, periods[30 * 48 - 1].end), (30 * 48, from, to));
    assert!(periods.windows(2).all(|pair| pair[0].end == pair[1].start));
}

/// Two hours at 500 W in Great Britain.
fn run(dir: &Path, provider: UkCarbonIntensity) -> Footprint {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(500.0))];
    let run = Run::pre_training(dir)
        .replay(Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone()))
        .place("GB".parse().unwrap())
        .pue(Pue::new(1.2).unwrap())
        .provider(Arc::new(provider))
        .start();
    clock.advance(Duration::from_secs(7_200));
    run.finish()
}

#[test]
fn a_run_in_great_britain_emits_what_its_half_hours_did() {
    let dir = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(|path| half_hours(path, 120));
    let footprint = run(dir.path(), provider(&stand_in));
    // 1.2 kWh at the facility's meter, at 120 g.
    assert!((footprint.emissions.best.grams() - 144.0).abs() < 1e-6, "{:?}", footprint.emissions);
    // At most 1.15 × 120 g and 30 g for the rest of a life cycle.
    assert!((footprint.emissions.high.grams() - 1.2 * 168.0).abs() < 1e-6);
    assert_eq!((footprint.grid.method, footprint.grid.basis), (Figure::Live, Basis::DirectConsumption));
    assert!((4..=5).contains(&footprint.grid.hours.len()), "{:?}", footprint.grid.hours);
    assert_eq!(stand_in.paths().len(), 1, "it asks once");
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);
    assert_eq!(sootprint::recover(dir.path(), None).unwrap(), footprint);
}

#[test]
fn a_run_outlives_a_provider_that_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let (_stand_in, provider) = saying(|| Reply::Body(500, String::new()));
    let footprint = run(dir.path(), provider);
    assert_eq!((footprint.grid.method, footprint.grid.year), (Figure::Table, Some(2025)));
    assert!(footprint.notes.iter().any(|note| note.contains("status 500")), "{:?}", footprint.notes);
    assert_eq!(sootprint::recover(dir.path(), None).unwrap(), footprint);
}
