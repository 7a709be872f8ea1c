//! [`UkCarbonIntensity`] against a fake API.

use std::error::Error as _;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sootprint::{
    CarbonIntensity, ComponentKind, EmissionScope, Footprint, IntensityKind, IntensityPeriod,
    IntensityProvider, IntensitySeries, Power, ProviderError, Pue, Replay, Run, VirtualClock,
};
use sootprint_live::UkCarbonIntensity;

use crate::fake_server::{FakeApiServer, FakeResponse};

/// A typical response: it begins with the half-hour before the requested ones, and the last half-hour is not over yet.
const BODY: &str = r#"{"data":[
    {"from":"2026-10-02T23:30Z","to":"2026-10-03T00:00Z","intensity":{"forecast":110,"actual":90,"index":"low"}},
    {"from":"2026-10-03T00:00Z","to":"2026-10-03T00:30Z","intensity":{"forecast":105,"actual":83,"index":"low"}},
    {"from":"2026-10-03T00:30Z","to":"2026-10-03T01:00Z","intensity":{"forecast":97,"actual":null,"index":"low"}}
]}"#;

fn parse_time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn provider(fake_server: &FakeApiServer) -> UkCarbonIntensity {
    UkCarbonIntensity::new().endpoint(fake_server.url())
}

/// Requests an hour on 3 October 2026, with bounds that are not on the half-hour.
fn fetch_sample_hour(provider: &UkCarbonIntensity) -> Result<IntensitySeries, ProviderError> {
    provider.intensity_between(
        "GB".parse().unwrap(),
        parse_time("2026-10-03T00:07:12Z"),
        parse_time("2026-10-03T00:48:00Z"),
    )
}

fn provider_replying(reply: fn() -> FakeResponse) -> (FakeApiServer, UkCarbonIntensity) {
    let fake_server = FakeApiServer::start_by_path(move |_| reply());
    let provider = provider(&fake_server);
    (fake_server, provider)
}

fn ok_response(text: &str) -> FakeResponse {
    FakeResponse::Body(200, text.to_owned())
}

#[test]
fn actual_values_replace_forecasts() {
    let (fake_server, provider) = provider_replying(|| ok_response(BODY));
    let half_hour = |start: &str, end: &str, grams, is_forecast| IntensityPeriod {
        start: parse_time(start),
        end: parse_time(end),
        intensity: CarbonIntensity::from_grams_per_kilowatt_hour(grams),
        is_forecast,
    };
    let periods = vec![
        half_hour("2026-10-03T00:00:00Z", "2026-10-03T00:30:00Z", 83.0, false),
        half_hour("2026-10-03T00:30:00Z", "2026-10-03T01:00:00Z", 97.0, true),
    ];
    let source = "NESO Carbon Intensity API, Great Britain (CC BY 4.0)";
    let expected = IntensitySeries::new(source, EmissionScope::DirectConsumption, periods).unwrap();
    assert_eq!(fetch_sample_hour(&provider).unwrap(), expected);
    assert_eq!(fake_server.paths(), ["/intensity/2026-10-03T00:00Z/2026-10-03T01:00Z"]);
}

/// The sample of the API's documentation.
#[test]
fn documented_response_is_parsed() {
    let (_fake_server, provider) =
        provider_replying(|| ok_response(include_str!("../samples/uk_intensity.json")));
    let series = fetch_sample_hour(&provider).unwrap();
    assert_eq!(series.periods().len(), 1);
    assert_eq!(series.periods()[0].intensity, CarbonIntensity::from_grams_per_kilowatt_hour(83.0));
    // All of Great Britain is one grid, including its cloud regions.
    let (from, to) = (parse_time("2026-10-03T00:00:00Z"), parse_time("2026-10-03T00:30:00Z"));
    assert_eq!(provider.intensity_between("aws:eu-west-2".parse().unwrap(), from, to).unwrap(), series);
}

#[test]
fn unsupported_country_sends_no_request() {
    let (fake_server, provider) = provider_replying(|| ok_response(BODY));
    let error = provider
        .intensity_between(
            "FR".parse().unwrap(),
            parse_time("2026-10-03T00:00:00Z"),
            parse_time("2026-10-03T01:00:00Z"),
        )
        .unwrap_err();
    assert!(matches!(&error, ProviderError::ZoneNotCovered { zone, .. } if zone == "FR"), "{error}");
    assert!(fake_server.paths().is_empty());
}

#[test]
fn http_error_keeps_status() {
    for (reply, number) in [
        (
            (|| FakeResponse::Body(400, r#"{"error":{"code":"400 Bad RecordedRequest"}}"#.to_owned()))
                as fn() -> FakeResponse,
            400,
        ),
        (|| FakeResponse::Body(503, "<html>".to_owned()), 503),
        // Redirects are not followed.
        (|| FakeResponse::Body(302, String::new()), 302),
    ] {
        let (_fake_server, provider) = provider_replying(reply);
        let error = fetch_sample_hour(&provider).unwrap_err();
        assert!(
            matches!(error, ProviderError::RequestRejected { status, .. } if status == number),
            "{error}"
        );
    }
}

#[test]
fn status_429_is_rate_limited() {
    let (_fake_server, provider) = provider_replying(|| FakeResponse::Body(429, String::new()));
    assert!(matches!(fetch_sample_hour(&provider).unwrap_err(), ProviderError::RateLimited { .. }));
}

#[test]
fn hanging_server_times_out() {
    let limit = Duration::from_millis(300);
    for reply in [(|| FakeResponse::Hang) as fn() -> FakeResponse, || FakeResponse::Truncated(r#"{"data":["#)]
    {
        let (_fake_server, provider) = provider_replying(reply);
        let started_at = Instant::now();
        let error = fetch_sample_hour(&provider.timeout(limit)).unwrap_err();
        assert!(matches!(error, ProviderError::Timeout { timeout, .. } if timeout == limit), "{error}");
        // Well below the default of ten seconds, and well above the delay of a busy machine.
        assert!(started_at.elapsed() < Duration::from_secs(5), "{:?}", started_at.elapsed());
    }
}

#[test]
fn closed_connection_is_unreachable() {
    let (_fake_server, provider) = provider_replying(|| FakeResponse::Raw(b""));
    let closed = fetch_sample_hour(&provider).unwrap_err();
    // A port on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = fetch_sample_hour(&UkCarbonIntensity::new().endpoint(format!("http://{port}"))).unwrap_err();
    for error in [closed, absent] {
        assert!(matches!(error, ProviderError::Unreachable { .. }), "{error:?}");
        assert!(error.source().is_some());
    }
}

#[test]
fn malformed_response_is_an_error() {
    fn figures(from: &str, to: &str, figures: &str) -> FakeResponse {
        ok_response(&format!(r#"{{"data":[{{"from":"{from}","to":"{to}","intensity":{{{figures}}}}}]}}"#))
    }
    const FROM: &str = "2026-10-03T00:00Z";
    const TO: &str = "2026-10-03T00:30Z";
    let replies: [fn() -> FakeResponse; 10] = [
        || ok_response("<html>captive portal of a hotel</html>"),
        || ok_response(""),
        || ok_response(r#"{"error":{"code":"no-data"}}"#),
        // Valid, but too long.
        || FakeResponse::Body(200, r#"{"data":[]}"#.to_owned() + &" ".repeat(1_000_000)),
        || FakeResponse::Raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        || figures(FROM, "soon", r#""actual":83"#),
        || figures(FROM, FROM, r#""actual":83"#),
        || figures(FROM, TO, r#""actual":"83""#),
        || figures(FROM, TO, r#""actual":-83"#),
        || figures(FROM, TO, r#""actual":83000"#),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (_fake_server, provider) = provider_replying(reply);
        let error = fetch_sample_hour(&provider).unwrap_err();
        assert!(matches!(error, ProviderError::InvalidData { .. }), "reply {number}: {error:?}");
    }
}

#[test]
fn missing_values_are_gaps() {
    let unknown: [fn() -> FakeResponse; 3] = [
        || ok_response(r#"{"data":[]}"#),
        || {
            ok_response(
                r#"{"data":[{"from":"2026-10-03T00:00Z","to":"2026-10-03T00:30Z",
                "intensity":{"forecast":null,"actual":null,"index":null}}]}"#,
            )
        },
        || {
            ok_response(
                r#"{"data":[{"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z",
                "intensity":{"forecast":266,"actual":263,"index":"moderate"}}]}"#,
            )
        },
    ];
    for reply in unknown {
        let (_fake_server, provider) = provider_replying(reply);
        assert_eq!(fetch_sample_hour(&provider).unwrap().periods(), []);
    }
}

/// The API's response to a path: the requested half-hours and the one before them, all with the same intensity.
fn half_hours_response(path: &str, grams: u32) -> FakeResponse {
    let mut words = path.strip_prefix("/intensity/").unwrap().split('/');
    let (from, to) = (parse_time(words.next().unwrap()), parse_time(words.next().unwrap()));
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
    ok_response(&format!(r#"{{"data":[{data}]}}"#))
}

#[test]
fn long_range_splits_without_duplicates() {
    let fake_server = FakeApiServer::start_by_path(|path| half_hours_response(path, 120));
    let (from, to) = (parse_time("2026-09-01T00:00:00Z"), parse_time("2026-10-01T00:00:00Z"));
    let series = provider(&fake_server).intensity_between("GB".parse().unwrap(), from, to).unwrap();
    assert_eq!(
        fake_server.paths(),
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
fn run_in_britain(dir: &Path, provider: UkCarbonIntensity) -> Footprint {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(500.0))];
    let run = Run::pre_training(dir)
        .replay(
            Replay::new()
                .with_component(ComponentKind::Cpu, "Scripted CPU", steady)
                .with_clock(clock.clone()),
        )
        .place("GB".parse().unwrap())
        .pue(Pue::new(1.2).unwrap())
        .intensity_provider(Arc::new(provider))
        .start();
    clock.advance(Duration::from_secs(7_200));
    run.finish()
}

#[test]
fn run_emissions_use_half_hours() {
    let dir = tempfile::tempdir().unwrap();
    let fake_server = FakeApiServer::start_by_path(|path| half_hours_response(path, 120));
    let footprint = run_in_britain(dir.path(), provider(&fake_server));
    // 1.2 kWh at the facility, at 120 g/kWh.
    assert!((footprint.emissions.best.grams() - 144.0).abs() < 1e-6, "{:?}", footprint.emissions);
    // At most 1.15 × 120 g/kWh, plus 30 g/kWh for the rest of the life cycle.
    assert!((footprint.emissions.high.grams() - 1.2 * 168.0).abs() < 1e-6);
    assert_eq!(
        (footprint.grid.method, footprint.grid.basis),
        (IntensityKind::Live, EmissionScope::DirectConsumption)
    );
    assert!((4..=5).contains(&footprint.grid.hours.len()), "{:?}", footprint.grid.hours);
    assert_eq!(fake_server.paths().len(), 1, "one request");
    assert!(footprint.notes.is_empty(), "{:?}", footprint.notes);
    assert_eq!(sootprint::load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn run_survives_provider_outage() {
    let dir = tempfile::tempdir().unwrap();
    let (_fake_server, provider) = provider_replying(|| FakeResponse::Body(500, String::new()));
    let footprint = run_in_britain(dir.path(), provider);
    assert_eq!((footprint.grid.method, footprint.grid.year), (IntensityKind::Table, Some(2025)));
    assert!(footprint.notes.iter().any(|note| note.contains("status 500")), "{:?}", footprint.notes);
    assert_eq!(sootprint::load_footprint(dir.path(), None).unwrap(), footprint);
}
