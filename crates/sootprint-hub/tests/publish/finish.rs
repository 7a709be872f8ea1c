//! Runs that publish themselves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sootprint::{Footprint, Kind, Outcome, Power, Replay, Run, RunBuilder, VirtualClock};
use sootprint_hub::{NewCard, Publication, PublishTo as _, Token, staged};

use crate::bench::{Bench, REPO, short};
use crate::isolated;

/// A run on a scripted board of 300 W, and its clock.
fn scripted(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay = Replay::new().component(Kind::Gpu, "Scripted board", steady).on_clock(clock.clone());
    (Run::pre_training(dir).replay(replay), clock)
}

fn to(endpoint: &str, token: &str) -> impl Fn(Publication) -> Publication + Send + Sync + use<> {
    let (endpoint, token) = (endpoint.to_owned(), Token::new(token).unwrap());
    move |publication| {
        let new_card = NewCard::default().library("candle");
        publication.endpoint(endpoint.clone()).token(token.clone()).patience(short()).new_card(new_card)
    }
}

#[test]
fn a_finished_run_is_on_the_hub_with_its_weights() {
    isolated::run("finish::a_finished_run_is_on_the_hub_with_its_weights", || {
        let bench = Bench::small();
        let (builder, clock) = scripted(bench.dir.path());
        let run = builder.publish_with(REPO, to(bench.hub.endpoint(), bench.hub.token())).start();
        for _ in run.epochs(1..=2) {
            clock.advance(Duration::from_secs(60));
        }
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::Completed);
        assert_eq!(bench.on_hub("model.safetensors"), bench.weights);
        // 300 W for two minutes are 10 Wh.
        let card = bench.card_on_hub();
        assert!(card.contains("energy_consumed: 0.01\n"), "{card}");
        assert!(card.contains("library_name: \"candle\"\n") && card.contains("# digits\n"), "{card}");
        assert!(card.contains("## How to load the weights"), "{card}");
        assert_eq!(bench.ours().len(), 1);
        assert_eq!(staged(bench.dir.path()), None);
    });
}

#[test]
fn a_publication_that_fails_is_staged_and_the_run_is_a_success() {
    isolated::run("finish::a_publication_that_fails_is_staged_and_the_run_is_a_success", || {
        let bench = Bench::small();
        let (builder, clock) = scripted(bench.dir.path());
        // Nobody listens there.
        let run = builder.publish_with(REPO, to("http://127.0.0.1:9", "hf_none")).start();
        clock.advance(Duration::from_secs(120));
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::Completed);
        assert!((footprint.energy.total.joules() - 36_000.0).abs() < 1e-6);
        assert_eq!(Footprint::read(&bench.dir.path().join("footprint.json")).unwrap(), footprint);
        let staged = staged(bench.dir.path()).unwrap();
        assert_eq!(staged.repo, REPO);
        assert!(fs::read(bench.dir.path().join("model.safetensors")).unwrap() == bench.weights);
    });
}
