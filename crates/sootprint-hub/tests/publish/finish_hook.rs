//! Runs that push when they finish.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sootprint::{ComponentKind, Footprint, Power, Replay, Run, RunBuilder, RunStatus, VirtualClock};
use sootprint_hub::{CardTemplate, HubToken, ModelUpload, PushToHubExt as _, staged_push};

use crate::fixture::{PushFixture, REPO, short_retry_policy};
use crate::isolated;

/// A run on a scripted GPU of 300 W, and its clock.
fn scripted_run(dir: &Path) -> (RunBuilder, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(300.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Gpu, "Scripted GPU", steady).with_clock(clock.clone());
    (Run::pre_training(dir).replay(replay), clock)
}

fn upload_to(endpoint: &str, token: &str) -> impl Fn(ModelUpload) -> ModelUpload + Send + Sync + use<> {
    let (endpoint, token) = (endpoint.to_owned(), HubToken::new(token).unwrap());
    move |upload| {
        upload
            .endpoint(endpoint.clone())
            .token(token.clone())
            .retry_policy(short_retry_policy())
            .card_template(CardTemplate::default().library("candle"))
    }
}

#[test]
fn finished_run_is_pushed_with_weights() {
    isolated::run("finish_hook::finished_run_is_pushed_with_weights", || {
        let fixture = PushFixture::with_small_weights();
        let (builder, clock) = scripted_run(fixture.dir.path());
        let run =
            builder.push_to_hub_with(REPO, upload_to(fixture.hub.endpoint(), fixture.hub.token())).start();
        for _ in run.epochs(1..=2) {
            clock.advance(Duration::from_secs(60));
        }
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::Completed);
        assert_eq!(fixture.hub_file("model.safetensors"), fixture.weights);
        // 300 W for two minutes are 10 Wh.
        let card = fixture.hub_card();
        assert!(card.contains("energy_consumed: 0.01\n"), "{card}");
        assert!(card.contains("library_name: \"candle\"\n") && card.contains("# digits\n"), "{card}");
        assert!(card.contains("## How to load the weights"), "{card}");
        assert_eq!(fixture.own_commits().len(), 1);
        assert_eq!(staged_push(fixture.dir.path()), None);
    });
}

#[test]
fn failed_push_is_staged_run_succeeds() {
    isolated::run("finish_hook::failed_push_is_staged_run_succeeds", || {
        let fixture = PushFixture::with_small_weights();
        let (builder, clock) = scripted_run(fixture.dir.path());
        // Nothing listens on this port.
        let run = builder.push_to_hub_with(REPO, upload_to("http://127.0.0.1:9", "hf_none")).start();
        clock.advance(Duration::from_secs(120));
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::Completed);
        assert!((footprint.energy.total.joules() - 36_000.0).abs() < 1e-6);
        assert_eq!(Footprint::read(&fixture.dir.path().join("footprint.json")).unwrap(), footprint);
        let staged = staged_push(fixture.dir.path()).unwrap();
        assert_eq!(staged.repo, REPO);
        assert!(fs::read(fixture.dir.path().join("model.safetensors")).unwrap() == fixture.weights);
    });
}
