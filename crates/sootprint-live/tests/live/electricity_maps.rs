//! [`ElectricityMaps`] against a fake API.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sootprint::{
    CarbonIntensity, ComponentKind, EmissionScope, IntensityKind, IntensityPeriod, IntensityProvider,
    IntensitySeries, LocationSource, Place, Power, ProviderError, Replay, Run, VirtualClock,
};
use sootprint_live::{CachedProvider, ElectricityMaps, UkCarbonIntensity};

use crate::fake_server::{FakeApiServer, FakeResponse};

/// Samples from the tests of public clients of the API.
const HISTORY: &str = include_str!("../samples/em_v3_carbon_intensity_history.json");
const LATEST: &str = include_str!("../samples/em_v3_carbon_intensity_latest.json");

fn parse_time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn parse_place(name: &str) -> Place {
    name.parse().unwrap()
}

fn provider(fake_server: &FakeApiServer) -> ElectricityMaps {
    ElectricityMaps::new("secret-token\n").endpoint(fake_server.url())
}

/// Requests the two hours of the sample, with bounds that are not on the hour.
fn fetch_sample_hours(provider: &ElectricityMaps, name: &str) -> Result<IntensitySeries, ProviderError> {
    provider.intensity_between(
        parse_place(name),
        parse_time("2024-10-28T13:10:00Z"),
        parse_time("2024-10-28T14:40:00Z"),
    )
}

fn provider_replying(reply: fn() -> FakeResponse) -> (FakeApiServer, ElectricityMaps) {
    let fake_server = FakeApiServer::start_by_path(move |_| reply());
    let provider = provider(&fake_server);
    (fake_server, provider)
}

fn ok_response(text: &str) -> FakeResponse {
    FakeResponse::Body(200, text.to_owned())
}

fn hourly_period(start: &str, grams: f64, is_forecast: bool) -> IntensityPeriod {
    let start = parse_time(start);
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(grams);
    IntensityPeriod { start, end: start + SignedDuration::from_hours(1), intensity, is_forecast }
}

#[test]
fn history_request_names_zone_without_fallback() {
    let (fake_server, provider) = provider_replying(|| ok_response(HISTORY));
    let series = fetch_sample_hours(&provider, "GB").unwrap();
    assert_eq!(
        series.periods(),
        [
            hourly_period("2024-10-28T13:00:00Z", 211.0, false),
            hourly_period("2024-10-28T14:00:00Z", 232.0, false)
        ]
    );
    assert_eq!(series.basis(), EmissionScope::LifecycleConsumption);
    let [request] = &fake_server.requests()[..] else { panic!("{:?}", fake_server.paths()) };
    assert!(request.path.starts_with("/v3/carbon-intensity/history?zone=GB&"), "{}", request.path);
    assert!(request.path.contains("shouldUseFallbackCallerLookup=false"), "{}", request.path);
    assert!(request.path.contains("disableCallerLookup=true"), "{}", request.path);
    assert_eq!(request.header("auth-token"), Some("secret-token"));
    assert!(!request.path.contains("secret") && !format!("{provider:?}").contains("secret"));
}

#[test]
fn estimated_hour_is_forecast() {
    let (_fake_server, provider) = provider_replying(|| {
        ok_response(
            r#"{"zone":"GB","history":[
            {"zone":"GB","carbonIntensity":211,"datetime":"2024-10-28T13:00:00.000Z","isEstimated":true},
            {"zone":"GB","carbonIntensity":null,"datetime":"2024-10-28T14:00:00.000Z"}]}"#,
        )
    });
    assert_eq!(
        fetch_sample_hours(&provider, "GB").unwrap().periods(),
        [hourly_period("2024-10-28T13:00:00Z", 211.0, true)]
    );
}

#[test]
fn response_for_other_zone_is_error() {
    for (name, reply) in [
        // The API guessed the zone from the caller's address.
        ("DE", (|| ok_response(HISTORY)) as fn() -> FakeResponse),
        ("GB", || {
            ok_response(&HISTORY.replace(
                r#""zone": "GB",
   "carbonIntensity": 232"#,
                r#""zone": "FR", "carbonIntensity": 232"#,
            ))
        }),
        ("aws:eu-central-1", || ok_response(HISTORY)),
        ("GB", || ok_response(&HISTORY.replace("\"GB\"", "\"GB-NIR\""))),
    ] {
        let (_fake_server, provider) = provider_replying(reply);
        let error = fetch_sample_hours(&provider, name).unwrap_err();
        assert!(matches!(error, ProviderError::ZoneMismatch { .. }), "{name}: {error}");
    }
}

#[test]
fn places_map_to_api_zones() {
    for (name, query, zone) in [
        ("FR", "?zone=FR&", "FR"),
        ("CA-QC", "?zone=CA-QC&", "CA-QC"),
        ("AU-NSW", "?zone=AU-NSW&", "AU-NSW"),
        ("hetzner:fsn1", "?zone=DE&", "DE"),
        ("gcp:europe-west1", "?dataCenterProvider=gcp&dataCenterRegion=europe-west1&", "BE"),
        // The zone of a cloud region is one of its country.
        ("aws:us-east-1", "?dataCenterProvider=aws&dataCenterRegion=us-east-1&", "US-MIDA-PJM"),
    ] {
        let reply = HISTORY.replace("\"GB\"", &format!("\"{zone}\""));
        let fake_server = FakeApiServer::start_by_path(move |_| FakeResponse::Body(200, reply.clone()));
        assert_eq!(fetch_sample_hours(&provider(&fake_server), name).unwrap().periods().len(), 2, "{name}");
        assert!(fake_server.paths()[0].contains(query), "{name}: {:?}", fake_server.paths());
    }
    let (fake_server, provider) = provider_replying(|| ok_response(HISTORY));
    for name in ["US-VA", "EGRID-SRVC", "hetzner:ash", "WLD"] {
        let error = fetch_sample_hours(&provider, name).unwrap_err();
        assert!(matches!(error, ProviderError::ZoneNotCovered { .. }), "{name}: {error}");
    }
    assert!(fake_server.paths().is_empty());
    let named = HISTORY.replace("\"GB\"", "\"US-MIDA-PJM\"");
    let fake_server = FakeApiServer::start_by_path(move |_| FakeResponse::Body(200, named.clone()));
    let provider = self::provider(&fake_server).zone("US-MIDA-PJM");
    assert_eq!(
        fetch_sample_hours(&provider, "US-VA").unwrap().periods().len(),
        2,
        "a configured zone is requested"
    );
}

/// A response, whether an error is the expected one, and a part of its message.
type HttpErrorCase = (fn() -> FakeResponse, fn(&ProviderError) -> bool, &'static str);

#[test]
fn http_errors_are_distinguished() {
    let cases: [HttpErrorCase; 7] = [
        // The body of a 401 may be empty.
        (
            || FakeResponse::Body(401, String::new()),
            |error| matches!(error, ProviderError::Unauthorised { variable: "ELECTRICITYMAPS_TOKEN", .. }),
            "ELECTRICITYMAPS_TOKEN",
        ),
        (
            || FakeResponse::Body(403, r#"{"error":"no access"}"#.to_owned()),
            |error| matches!(error, ProviderError::Unauthorised { status: 403, .. }),
            "HTTP status 403: no access",
        ),
        (
            || FakeResponse::Body(429, r#"{"message":"slow down"}"#.to_owned()),
            |error| matches!(error, ProviderError::RateLimited { .. }),
            "HTTP status 429: slow down",
        ),
        (
            || FakeResponse::Body(500, String::new()),
            |error| matches!(error, ProviderError::RequestRejected { status: 500, .. }),
            "500",
        ),
        (
            || FakeResponse::Body(503, "<html>".to_owned()),
            |error| matches!(error, ProviderError::RequestRejected { status: 503, .. }),
            "503",
        ),
        // A redirect is not followed, because it would pass on the token.
        (
            || FakeResponse::Body(302, String::new()),
            |error| matches!(error, ProviderError::RequestRejected { status: 302, .. }),
            "302",
        ),
        (
            || FakeResponse::Raw(b""),
            |error| matches!(error, ProviderError::Unreachable { .. }),
            "Electricity Maps",
        ),
    ];
    for (response, is_expected, text) in cases {
        let (_fake_server, provider) = provider_replying(response);
        let error = fetch_sample_hours(&provider, "GB").unwrap_err();
        assert!(is_expected(&error) && error.to_string().contains(text), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn hanging_server_times_out() {
    let limit = Duration::from_millis(300);
    for reply in [(|| FakeResponse::Hang) as fn() -> FakeResponse, || FakeResponse::Truncated(r#"{"zone":"#)]
    {
        let (_fake_server, provider) = provider_replying(reply);
        let started_at = Instant::now();
        let error = fetch_sample_hours(&provider.timeout(limit), "GB").unwrap_err();
        assert!(matches!(error, ProviderError::Timeout { .. }), "{error}");
        // Well below the default of ten seconds, and well above the delay of a busy machine.
        assert!(started_at.elapsed() < Duration::from_secs(5), "{:?}", started_at.elapsed());
    }
}

#[test]
fn malformed_response_is_an_error() {
    let replies: [fn() -> FakeResponse; 9] = [
        || ok_response("<html>captive portal of a hotel</html>"),
        || ok_response(""),
        || ok_response(r#"{"status":"no-data"}"#),
        // A single value instead of a list.
        || ok_response(LATEST),
        || ok_response(&HISTORY.replace("211", "-211")),
        || ok_response(&HISTORY.replace("211", "211000")),
        || ok_response(&HISTORY.replace("211", "\"211\"")),
        || ok_response(&HISTORY.replace("2024-10-28T13:00:00.000Z", "yesterday")),
        || ok_response(&HISTORY.replacen("lifecycle", "direct", 1)),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (_fake_server, provider) = provider_replying(reply);
        let error = fetch_sample_hours(&provider, "GB").unwrap_err();
        assert!(matches!(error, ProviderError::InvalidData { .. }), "reply {number}: {error:?}");
    }
}

/// The response of the API to a request for past hours, at 100 g.
fn past_range_response(path: &str) -> FakeResponse {
    let time = |name: &str| {
        let (_, rest) = path.split_once(&format!("{name}=")).unwrap();
        parse_time(rest.split('&').next().unwrap())
    };
    let (mut start, end) = (time("start"), time("end"));
    assert!(end.duration_since(start) <= SignedDuration::from_hours(240), "{path}");
    let mut hours = Vec::new();
    start = Timestamp::from_second(start.as_second().div_euclid(3_600) * 3_600).unwrap();
    while start < end {
        hours.push(format!(r#"{{"zone":"GB","carbonIntensity":100,"datetime":"{start}"}}"#));
        start += SignedDuration::from_hours(1);
    }
    FakeResponse::Body(200, format!(r#"{{"zone":"GB","data":[{}]}}"#, hours.join(",")))
}

#[test]
fn older_hours_come_from_past_range() {
    let fake_server = FakeApiServer::start_by_path(|path| {
        if path.contains("/history?") { ok_response(HISTORY) } else { past_range_response(path) }
    });
    let (from, to) = (parse_time("2024-10-15T00:30:00Z"), parse_time("2024-10-28T15:00:00Z"));
    let series = provider(&fake_server).intensity_between(parse_place("GB"), from, to).unwrap();
    let periods = series.periods();
    assert_eq!((periods[0].start, periods.len()), (parse_time("2024-10-15T00:00:00Z"), 13 * 24 + 15));
    assert!(periods.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(periods.last(), Some(&hourly_period("2024-10-28T14:00:00Z", 232.0, false)));
    assert_eq!(fake_server.paths().len(), 3, "ten days per request: {:?}", fake_server.paths());
}

#[test]
fn plan_without_past_returns_history() {
    let fake_server = FakeApiServer::start_by_path(|path| {
        if path.contains("/history?") { ok_response(HISTORY) } else { FakeResponse::Body(403, String::new()) }
    });
    let series = provider(&fake_server)
        .intensity_between(
            parse_place("GB"),
            parse_time("2024-10-27T00:00:00Z"),
            parse_time("2024-10-28T15:00:00Z"),
        )
        .unwrap();
    assert_eq!(series.periods().len(), 2);
}

#[test]
fn configured_zone_is_place_of_run() {
    for (zone, place) in [
        ("FR", Some("FR")),
        ("US-MIDA-PJM", Some("US")),
        // The region of New England, which is not Nebraska.
        ("US-NE-ISNE", Some("EGRID-NEWE")),
        ("SE-SE3", Some("SE3")),
        ("DK-DK1", Some("DK")),
        ("CA-ON", Some("CA-ON")),
        ("AU-NSW", Some("AU-NSW")),
        ("CA-XX", Some("CA")),
        ("nowhere", None),
    ] {
        let found = ElectricityMaps::new("a token").zone(zone).configured_place();
        assert_eq!(found.map(|(place, _)| place.code()).as_deref(), place, "{zone}");
    }
    assert_eq!(ElectricityMaps::new("a token").configured_place(), None);

    let fake_server = FakeApiServer::start_by_path(|_| FakeResponse::Body(500, String::new()));
    let start = || {
        let dir = tempfile::tempdir().unwrap();
        let provider = CachedProvider::new(provider(&fake_server).zone("DK-DK1"), "test");
        (Run::pre_training(dir.path()).intensity_provider(Arc::new(provider)).replay(Replay::new()), dir)
    };
    let (run, _dir) = start();
    let grid = run.start().finish().grid;
    assert_eq!((grid.place.as_deref(), grid.origin), (Some("Denmark"), LocationSource::Argument));
    // The place of the run comes first.
    let (run, _dir) = start();
    assert_eq!(run.place(parse_place("FR")).start().finish().grid.place.as_deref(), Some("France"));
}

/// A run whose provider has the current hour and nothing else.
#[test]
fn run_uses_provider_hours_where_available() {
    let now = Timestamp::now();
    let first = Timestamp::from_second(now.as_second() - 3_599).unwrap();
    let reply = format!(
        r#"{{"zone":"FR","history":[
        {{"zone":"FR","carbonIntensity":20,"datetime":"{first}"}},
        {{"zone":"FR","carbonIntensity":20,"datetime":"{}"}}]}}"#,
        first + SignedDuration::from_hours(1)
    );
    let fake_server = FakeApiServer::start_by_path(move |_| FakeResponse::Body(200, reply.clone()));
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let run = Run::pre_training(dir.path())
        .replay(
            Replay::new()
                .with_component(ComponentKind::Cpu, "Scripted CPU", steady)
                .with_clock(clock.clone()),
        )
        .place(parse_place("FR"))
        .intensity_provider(Arc::new(provider(&fake_server)))
        .start();
    clock.advance(Duration::from_secs(2 * 3_600));
    let footprint = run.finish();
    let methods: Vec<IntensityKind> = footprint.grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!((methods.first(), methods.last()), (Some(&IntensityKind::Live), Some(&IntensityKind::Table)));
    assert!(
        footprint.notes.iter().any(|note| note.contains("which counts a different scope of emissions")),
        "{:?}",
        footprint.notes
    );
    assert_eq!(footprint.grid.basis, EmissionScope::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// For any response, a provider returns plausible intensities or an error.
    #[test]
    fn any_response_gives_plausible_result(text in any::<String>(), grams in any::<f64>(), at in "[-0-9TZ:.+]{0,30}", cut in 0_usize..600) {
        let response_body = Arc::new(Mutex::new(String::new()));
        let served_body = Arc::clone(&response_body);
        let fake_server = FakeApiServer::start_by_path(move |_| FakeResponse::Body(200, served_body.lock().unwrap().clone()));
        let uk = UkCarbonIntensity::new().endpoint(fake_server.url());
        let (from, to) = (parse_time("2024-10-28T13:10:00Z"), parse_time("2024-10-28T14:40:00Z"));
        let half_hour = format!(r#"{{"data":[{{"from":"{at}","to":"2024-10-28T14:00Z","intensity":{{"actual":{grams}}}}}]}}"#);
        let history = HISTORY.replace("211", &grams.to_string()).replacen("2024-10-28T13:00:00.000Z", &at, 1);
        let beginning: String = HISTORY.chars().take(cut).collect();
        for reply in [text, half_hour, history, beginning] {
            *response_body.lock().unwrap() = reply;
            for series in [fetch_sample_hours(&provider(&fake_server), "GB"), uk.intensity_between(parse_place("GB"), from, to)].into_iter().flatten() {
                for period in series.periods() {
                    prop_assert!(period.start < period.end);
                    prop_assert!((0.0..=3_000.0).contains(&period.intensity.grams_per_kilowatt_hour()));
                }
            }
        }
    }
}
