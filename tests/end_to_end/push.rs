//! A complete run with a replay, its model card and weights, and the resulting repository on the Hub.

use std::fs;
use std::time::Duration;

use fake_hub::FakeHub;
use sootprint::{CarbonIntensity, ComponentKind, Footprint, Power, Pue, Replay, Run, VirtualClock};
use sootprint_card::ModelCard;
use sootprint_hub::{HubToken, ModelUpload};

use crate::isolated;

const CARD: &str = "---\r\nlicense: mit # ours\r\nco2_eq_emissions: 12.3\r\n---\r\n# Digits\r\n";

#[test]
fn pushed_card_matches_measured_footprint() {
    isolated::run("push::pushed_card_matches_measured_footprint", || {
        let folder = tempfile::tempdir().unwrap();
        let clock = VirtualClock::default();
        let kilowatt = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
        let run = Run::fine_tuning(folder.path(), "me/base")
            .replay(
                Replay::new()
                    .with_component(ComponentKind::Gpu, "Scripted GPU", kilowatt)
                    .with_clock(clock.clone()),
            )
            .place("France".parse().unwrap())
            .intensity(CarbonIntensity::try_from_grams_per_kilowatt_hour(50.0).unwrap())
            .pue(Pue::new(1.5).unwrap())
            .start();
        for _ in run.epochs(1..=2) {
            clock.advance(Duration::from_secs(3_600));
        }
        let footprint = run.finish();

        // Bytes that the storage cannot compress or deduplicate, larger than one chunk.
        let weights: Vec<u8> = (0..2_000_000_u64)
            .map(|index| (index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) >> 24) as u8)
            .collect();
        fs::write(folder.path().join("model.bpk"), &weights).unwrap();
        fs::write(folder.path().join("README.md"), CARD).unwrap();

        let hub = FakeHub::start().unwrap();
        let upload = || {
            ModelUpload::new(&footprint, folder.path(), "me/digits")
                .endpoint(hub.endpoint())
                .token(HubToken::new(hub.token()).unwrap())
        };
        let before = hub.commits("me/digits").map_or(0, |commits| commits.len());
        let push_report = upload().push().unwrap();
        let commits = hub.commits("me/digits").unwrap();
        assert_eq!(commits[0].id, push_report.commit);
        assert_eq!(
            commits[0].changed_paths.len(),
            3,
            "card, weights and footprint in one commit: {:?}",
            commits[0].changed_paths
        );
        assert!(commits.len() <= before + 2, "the Hub's own first commit and ours");

        assert!(hub.read_file("me/digits", "main", "model.bpk").unwrap() == weights, "byte for byte");
        assert!(hub.is_lfs("me/digits", "main", "model.bpk").unwrap());
        let card = String::from_utf8(hub.read_file("me/digits", "main", "README.md").unwrap()).unwrap();
        // 2 kWh × 1.5 × 50 g/kWh.
        let block = ModelCard::parse(&card).unwrap().emissions().unwrap().unwrap();
        assert_eq!(block.emissions.grams(), 150.0);
        assert_eq!(block.energy_consumed.unwrap().kilowatt_hours(), 3.0);
        assert_eq!(block.training_type.as_deref(), Some("fine-tuning"));
        assert!(
            card.starts_with("---\r\nlicense: mit # ours\r\n")
                && card.contains("---\r\n# Digits\r\n\r\n<!-- sootprint:begin -->\r\n"),
            "{card:?}"
        );
        assert!(card.contains("- **Carbon Emitted:** 150 g CO2eq\r\n"), "{card:?}");
        assert_eq!(card.matches('\n').count(), card.matches("\r\n").count());
        assert!(card.contains("base_model: \"me/base\"\r\n"), "{card:?}");

        let sent = hub.read_file("me/digits", "main", "footprint.json").unwrap();
        let pushed_footprint = Footprint::from_json(&String::from_utf8(sent).unwrap()).unwrap();
        assert_eq!(
            (pushed_footprint.energy, pushed_footprint.emissions),
            (footprint.energy.clone(), footprint.emissions)
        );
        assert!(upload().push().is_ok(), "again, without a conflict");
    });
}
