//! The clouds' metadata services against a stand-in on this machine.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod stand_in;

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sootprint::{Metadata, MetadataError, Place};
use sootprint_live::CloudMetadata;
use tempfile::TempDir;

use stand_in::{Reply, Request, StandIn};

const AMAZON: &[(&str, &str)] = &[("sys_vendor", "Amazon EC2\n")];
const GOOGLE: &[(&str, &str)] = &[("sys_vendor", "Google\n"), ("product_name", "Google Compute Engine\n")];
const MICROSOFT: &[(&str, &str)] =
    &[("sys_vendor", "Microsoft Corporation\n"), ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n")];

/// A machine whose firmware says this, and the question to its cloud.
fn machine(firmware: &[(&str, &str)], stand_in: &StandIn) -> (CloudMetadata, TempDir) {
    let dmi = tempfile::tempdir().unwrap();
    for (name, text) in firmware {
        fs::write(dmi.path().join(name), text).unwrap();
    }
    (CloudMetadata::new().dmi(dmi.path()).endpoint(stand_in.url()), dmi)
}

fn ask(firmware: &[(&str, &str)], stand_in: &StandIn) -> Result<Option<Place>, MetadataError> {
    machine(firmware, stand_in).0.place()
}

/// All three services at one address, as strict as they are.
fn clouds(request: &Request) -> Reply {
    let refused = || Reply::Body(401, String::new());
    let token = request.header("x-aws-ec2-metadata-token");
    match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token")
            if request.header("x-aws-ec2-metadata-token-ttl-seconds") == Some("60") =>
        {
            Reply::Body(200, "a-token==\n".to_owned())
        }
        ("GET", "/latest/dynamic/instance-identity/document") if token == Some("a-token==") => {
            Reply::Body(200, include_str!("samples/aws_imds_identity_document.json").to_owned())
        }
        ("GET", "/computeMetadata/v1/instance/zone")
            if request.header("metadata-flavor") == Some("Google") =>
        {
            Reply::Headed("Metadata-Flavor: Google", "projects/123456789012/zones/us-central1-a".to_owned())
        }
        ("GET", "/metadata/instance?api-version=2021-02-01")
            if request.header("metadata") == Some("true") =>
        {
            Reply::Body(200, include_str!("samples/azure_imds_instance.json").to_owned())
        }
        _ => refused(),
    }
}

#[test]
fn each_cloud_is_asked_in_its_own_way_for_its_region() {
    for (firmware, code, questions) in [
        (AMAZON, "aws:us-east-1", 2),
        (&[("sys_vendor", "Xen"), ("bios_version", "4.2.amazon")], "aws:us-east-1", 2),
        (GOOGLE, "gcp:us-central1", 1),
        (MICROSOFT, "azure:westeurope", 1),
    ] {
        let stand_in = StandIn::asked(clouds);
        let place = ask(firmware, &stand_in).unwrap().unwrap();
        assert_eq!(place.code(), code);
        let requests = stand_in.requests();
        assert_eq!(requests.len(), questions, "{requests:?}");
        for request in requests {
            assert!(!request.path.contains("recursive"), "{}", request.path);
            assert!(request.header("x-forwarded-for").is_none());
        }
    }
}

#[test]
fn a_zone_of_two_figures_keeps_its_region() {
    let stand_in = StandIn::asked(|_| {
        Reply::Headed("Metadata-Flavor: Google", "projects/1/zones/europe-west10-a".to_owned())
    });
    assert_eq!(ask(GOOGLE, &stand_in).unwrap().unwrap().code(), "gcp:europe-west10");
}

#[test]
fn a_machine_in_no_cloud_asks_nobody() {
    let stand_in = StandIn::asked(clouds);
    for firmware in [
        &[][..],
        &[("sys_vendor", "Dell Inc.")],
        &[("sys_vendor", "QEMU")],
        &[("sys_vendor", "Xen"), ("bios_version", "4.17")],
        // A Chromebook, and a laptop of Microsoft's.
        &[("sys_vendor", "Google"), ("product_name", "Eve")],
        &[("sys_vendor", "Microsoft Corporation"), ("chassis_asset_tag", "0")],
    ] {
        assert_eq!(ask(firmware, &stand_in).unwrap(), None, "{firmware:?}");
    }
    assert!(stand_in.requests().is_empty());
}

#[test]
fn what_is_no_answer_is_named() {
    for (firmware, reply, said) in [
        (AMAZON, (|| Reply::Body(401, String::new())) as fn() -> Reply, "AWS"),
        (AMAZON, || Reply::Body(200, "{}".to_owned()), "AWS"),
        // Whoever else is at that address.
        (GOOGLE, || Reply::Body(200, "projects/1/zones/us-central1-a".to_owned()), "not Google's"),
        (GOOGLE, || Reply::Headed("Metadata-Flavor: Google", "nowhere".to_owned()), "no zone"),
        (GOOGLE, || Reply::Body(302, String::new()), "Google Cloud"),
        (MICROSOFT, || Reply::Body(200, "<html>".to_owned()), "Azure"),
        (MICROSOFT, || Reply::Body(429, String::new()), "Azure"),
        (MICROSOFT, || Reply::Bytes(b""), "Azure"),
        (MICROSOFT, || Reply::Body(200, r#"{"compute":{"location":"moon"}}"#.to_owned()), "azure:moon"),
    ] {
        let stand_in = StandIn::start(move |_| reply());
        let error = ask(firmware, &stand_in).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("SOOTPRINT_PLACE"), "{error}");
    }
}

#[test]
fn a_second_is_enough_for_all_of_it() {
    // The token comes late, the document never.
    let stand_in = StandIn::asked(|request| match request.method.as_str() {
        "PUT" => {
            std::thread::sleep(Duration::from_millis(900));
            Reply::Body(200, "a-token".to_owned())
        }
        _ => Reply::Silence,
    });
    let asked = Instant::now();
    assert!(matches!(ask(AMAZON, &stand_in), Err(MetadataError::NoAnswer { .. })));
    // With a second for each question it would be 1.9 s; a busy machine may add a little to the one second.
    assert!(asked.elapsed() < Duration::from_millis(1_800), "{:?}", asked.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_reply_is_too_odd(text in any::<String>(), region in "[-a-z0-9/:]{0,30}") {
        for (firmware, body) in [
            (AMAZON, format!(r#"{{"region":"{region}"}}"#)),
            (GOOGLE, region.clone()),
            (MICROSOFT, format!(r#"{{"compute":{{"location":"{region}"}}}}"#)),
            (AMAZON, text.clone()),
            (GOOGLE, text.clone()),
            (MICROSOFT, text.clone()),
        ] {
            let stand_in = StandIn::start(move |_| Reply::Headed("Metadata-Flavor: Google", body.clone()));
            if let Ok(place) = ask(firmware, &stand_in) {
                prop_assert!(place.is_some_and(|place| place.cloud().is_some()));
            }
        }
    }
}
