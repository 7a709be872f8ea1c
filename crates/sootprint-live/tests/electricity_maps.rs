//! Electricity Maps against a stand-in on this machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod stand_in;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sootprint::{
    Basis, CarbonIntensity, Figure, Kind, Period, Place, Power, Provider, ProviderError, Replay, Run, Series,
    VirtualClock,
};
use sootprint_live::{ElectricityMaps, UkCarbonIntensity};

use stand_in::{Reply, StandIn};

/// As public clients of the API have it in their tests.
const HISTORY: &str = include_str!("samples/em_v3_carbon_intensity_history.json");
const LATEST: &str = include_str!("samples/em_v3_carbon_intensity_latest.json");

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn place(name: &str) -> Place {
    name.parse().unwrap()
}

fn provider(stand_in: &StandIn) -> ElectricityMaps {
    ElectricityMaps::new("secret-token\n").endpoint(stand_in.url())
}

/// Asks for the two hours of the sample, a little off.
fn ask(provider: &ElectricityMaps, name: &str) -> Result<Series, ProviderError> {
    provider.hours(place(name), time("2024-10-28T13:10:00Z"), time("2024-10-28T14:40:00Z"))
}

fn saying(reply: fn() -> Reply) -> (StandIn, ElectricityMaps) {
    let stand_in = StandIn::start(move |_| reply());
    let provider = provider(&stand_in);
    (stand_in, provider)
}

fn body(text: &str) -> Reply {
    Reply::Body(200, text.to_owned())
}

fn hour(start: &str, grams: f64, is_forecast: bool) -> Period {
    let start = time(start);
    let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(grams);
    Period { start, end: start + SignedDuration::from_hours(1), intensity, is_forecast }
}

#[test]
fn the_history_s_hours_are_taken_and_the_question_names_the_zone_and_forbids_a_guess() {
    let (stand_in, provider) = saying(|| body(HISTORY));
    let series = ask(&provider, "GB").unwrap();
    assert_eq!(
        series.periods(),
        [hour("2024-10-28T13:00:00Z", 211.0, false), hour("2024-10-28T14:00:00Z", 232.0, false)]
    );
    assert_eq!(series.basis(), Basis::LifecycleConsumption);
    let [request] = &stand_in.requests()[..] else { panic!("{:?}", stand_in.paths()) };
    assert!(request.path.starts_with("/v3/carbon-intensity/history?zone=GB&"), "{}", request.path);
    assert!(request.path.contains("shouldUseFallbackCallerLookup=false"), "{}", request.path);
    assert!(request.path.contains("disableCallerLookup=true"), "{}", request.path);
    assert_eq!(request.header("auth-token"), Some("secret-token"));
    assert!(!request.path.contains("secret") && !format!("{provider:?}").contains("secret"));
}

#[test]
fn an_estimated_hour_is_a_forecast_and_an_unknown_one_a_gap() {
    let (_stand_in, provider) = saying(|| {
        body(
            r#"{"zone":"GB","history":[
            {"zone":"GB","carbonIntensity":211,"datetime":"2024-10-28T13:00:00.000Z","isEstimated":true},
            {"zone":"GB","carbonIntensity":null,"datetime":"2024-10-28T14:00:00.000Z"}]}"#,
        )
    });
    assert_eq!(ask(&provider, "GB").unwrap().periods(), [hour("2024-10-28T13:00:00Z", 211.0, true)]);
}

#[test]
fn an_answer_about_another_zone_is_an_error() {
    for (name, reply) in [
        // As where the API guessed from the caller's address.
        ("DE", (|| body(HISTORY)) as fn() -> Reply),
        ("GB", || {
            body(&HISTORY.replace(
                r#""zone": "GB",
   "carbonIntensity": 232"#,
                r#""zone": "FR", "carbonIntensity": 232"#,
            ))
        }),
        ("aws:eu-central-1", || body(HISTORY)),
        ("GB", || body(&HISTORY.replace("\"GB\"", "\"GB-NIR\""))),
    ] {
        let (_stand_in, provider) = saying(reply);
        let error = ask(&provider, name).unwrap_err();
        assert!(matches!(error, ProviderError::AnotherZone { .. }), "{name}: {error}");
    }
}

#[test]
fn places_are_asked_about_as_the_api_names_them() {
    for (name, query, zone) in [
        ("FR", "?zone=FR&", "FR"),
        ("CA-QC", "?zone=CA-QC&", "CA-QC"),
        ("AU-NSW", "?zone=AU-NSW&", "AU-NSW"),
        ("hetzner:fsn1", "?zone=DE&", "DE"),
        ("gcp:europe-west1", "?dataCenterProvider=gcp&dataCenterRegion=europe-west1&", "BE"),
        // A region's zone is one of its country's.
        ("aws:us-east-1", "?dataCenterProvider=aws&dataCenterRegion=us-east-1&", "US-MIDA-PJM"),
    ] {
        let reply = HISTORY.replace("\"GB\"", &format!("\"{zone}\""));
        let stand_in = StandIn::start(move |_| Reply::Body(200, reply.clone()));
        assert_eq!(ask(&provider(&stand_in), name).unwrap().periods().len(), 2, "{name}");
        assert!(stand_in.paths()[0].contains(query), "{name}: {:?}", stand_in.paths());
    }
    let (stand_in, provider) = saying(|| body(HISTORY));
    for name in ["US-VA", "EGRID-SRVC", "hetzner:ash", "WLD"] {
        let error = ask(&provider, name).unwrap_err();
        assert!(matches!(error, ProviderError::DoesNotCover { .. }), "{name}: {error}");
    }
    assert!(stand_in.paths().is_empty());
    let named = HISTORY.replace("\"GB\"", "\"US-MIDA-PJM\"");
    let stand_in = StandIn::start(move |_| Reply::Body(200, named.clone()));
    let provider = self::provider(&stand_in).zone("US-MIDA-PJM");
    assert_eq!(ask(&provider, "US-VA").unwrap().periods().len(), 2, "a zone that was named is asked about");
}

#[test]
fn refusals_are_told_apart() {
    for (reply, said) in [
        // The body of a 401 may be empty.
        ((|| Reply::Body(401, String::new())) as fn() -> Reply, "ELECTRICITYMAPS_TOKEN"),
        (|| Reply::Body(403, r#"{"error":"no access"}"#.to_owned()), "status 403"),
        (|| Reply::Body(429, r#"{"message":"slow down"}"#.to_owned()), "asked too often"),
        (|| Reply::Body(500, String::new()), "status 500"),
        (|| Reply::Body(503, "<html>".to_owned()), "status 503"),
        // The token goes to nobody else.
        (|| Reply::Body(302, String::new()), "status 302"),
        (|| Reply::Bytes(b""), "cannot be reached"),
    ] {
        let (_stand_in, provider) = saying(reply);
        let error = ask(&provider, "GB").unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn who_hangs_costs_the_time_limit_and_no_more() {
    let limit = Duration::from_millis(300);
    for reply in [(|| Reply::Silence) as fn() -> Reply, || Reply::Beginning(r#"{"zone":"#)] {
        let (_stand_in, provider) = saying(reply);
        let asked = Instant::now();
        let error = ask(&provider.time_limit(limit), "GB").unwrap_err();
        assert!(matches!(error, ProviderError::TooSlow { .. }), "{error}");
        // Far below the ten seconds that stand without a limit, and far above what a busy machine may add.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

#[test]
fn nonsense_is_no_figure() {
    let replies: [fn() -> Reply; 9] = [
        || body("<html>a hotel's door to the network</html>"),
        || body(""),
        || body(r#"{"status":"no-data"}"#),
        // Of one moment, without a list.
        || body(LATEST),
        || body(&HISTORY.replace("211", "-211")),
        || body(&HISTORY.replace("211", "211000")),
        || body(&HISTORY.replace("211", "\"211\"")),
        || body(&HISTORY.replace("2024-10-28T13:00:00.000Z", "yesterday")),
        || body(&HISTORY.replacen("lifecycle", "direct", 1)),
    ];
    for (number, reply) in replies.into_iter().enumerate() {
        let (_stand_in, provider) = saying(reply);
        let error = ask(&provider, "GB").unwrap_err();
        assert!(matches!(error, ProviderError::Nonsense { .. }), "reply {number}: {error:?}");
    }
}

/// The hours from a question's start to its end, as the API has them of its past; at 100 g.
fn past(path: &str) -> Reply {
    let moment = |name: &str| {
        let (_, rest) = path.split_once(&format!("{name}=")).unwrap();
        time(rest.split('&').next().unwrap())
    };
    let (mut start, end) = (moment("start"), moment("end"));
    assert!(end.duration_since(start) <= SignedDuration::from_hours(240), "{path}");
    let mut hours = Vec::new();
    start = Timestamp::from_second(start.as_second().div_euclid(3_600) * 3_600).unwrap();
    while start < end {
        hours.push(format!(r#"{{"zone":"GB","carbonIntensity":100,"datetime":"{start}"}}"#));
        start += SignedDuration::from_hours(1);
    }
    Reply::Body(200, format!(r#"{{"zone":"GB","data":[{}]}}"#, hours.join(",")))
}

#[test]
fn what_lies_before_the_history_is_asked_of_the_past() {
    let stand_in = StandIn::start(|path| if path.contains("/history?") { body(HISTORY) } else { past(path) });
    let (from, to) = (time("2024-10-15T00:30:00Z"), time("2024-10-28T15:00:00Z"));
    let series = provider(&stand_in).hours(place("GB"), from, to).unwrap();
    let periods = series.periods();
    assert_eq!((periods[0].start, periods.len()), (time("2024-10-15T00:00:00Z"), 13 * 24 + 15));
    assert!(periods.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(periods.last(), Some(&hour("2024-10-28T14:00:00Z", 232.0, false)));
    assert_eq!(stand_in.paths().len(), 3, "ten days in one question: {:?}", stand_in.paths());
}

#[test]
fn a_plan_without_a_past_gives_its_last_day() {
    let stand_in = StandIn::start(|path| {
        if path.contains("/history?") { body(HISTORY) } else { Reply::Body(403, String::new()) }
    });
    let series = provider(&stand_in)
        .hours(place("GB"), time("2024-10-27T00:00:00Z"), time("2024-10-28T15:00:00Z"))
        .unwrap();
    assert_eq!(series.periods().len(), 2);
}

/// A run whose provider has the hour of now and nothing else.
#[test]
fn a_run_s_hours_are_the_provider_s_where_it_has_them() {
    let now = Timestamp::now();
    let first = Timestamp::from_second(now.as_second() - 3_599).unwrap();
    let reply = format!(
        r#"{{"zone":"FR","history":[
        {{"zone":"FR","carbonIntensity":20,"datetime":"{first}"}},
        {{"zone":"FR","carbonIntensity":20,"datetime":"{}"}}]}}"#,
        first + SignedDuration::from_hours(1)
    );
    let stand_in = StandIn::start(move |_| Reply::Body(200, reply.clone()));
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    let run = Run::pre_training(dir.path())
        .replay(Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone()))
        .place(place("FR"))
        .provider(Arc::new(provider(&stand_in)))
        .start();
    clock.advance(Duration::from_secs(2 * 3_600));
    let footprint = run.finish();
    let methods: Vec<Figure> = footprint.grid.hours.iter().map(|hour| hour.method).collect();
    assert_eq!((methods.first(), methods.last()), (Some(&Figure::Live), Some(&Figure::Table)));
    assert!(
        footprint.notes.iter().any(|note| note.contains("though the two do not count the same")),
        "{:?}",
        footprint.notes
    );
    assert_eq!(footprint.grid.basis, Basis::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever a server says, a provider gives figures that a grid can have, or an error.
    #[test]
    fn no_reply_is_too_odd(text in any::<String>(), grams in any::<f64>(), at in "[-0-9TZ:.+]{0,30}", cut in 0_usize..600) {
        let said = Arc::new(Mutex::new(String::new()));
        let says = Arc::clone(&said);
        let stand_in = StandIn::start(move |_| Reply::Body(200, says.lock().unwrap().clone()));
        let uk = UkCarbonIntensity::new().endpoint(stand_in.url());
        let (from, to) = (time("2024-10-28T13:10:00Z"), time("2024-10-28T14:40:00Z"));
        let half_hour = format!(r#"{{"data":[{{"from":"{at}","to":"2024-10-28T14:00Z","intensity":{{"actual":{grams}}}}}]}}"#);
        let history = HISTORY.replace("211", &grams.to_string()).replacen("2024-10-28T13:00:00.000Z", &at, 1);
        let beginning: String = HISTORY.chars().take(cut).collect();
        for reply in [text, half_hour, history, beginning] {
            *said.lock().unwrap() = reply;
            for series in [ask(&provider(&stand_in), "GB"), uk.hours(place("GB"), from, to)].into_iter().flatten() {
                for period in series.periods() {
                    prop_assert!(period.start < period.end);
                    prop_assert!((0.0..=3_000.0).contains(&period.intensity.grams_per_kilowatt_hour()));
                }
            }
        }
    }
}
