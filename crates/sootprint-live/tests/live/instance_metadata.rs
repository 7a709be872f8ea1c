//! [`InstanceMetadataClient`] against fake metadata services.

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sootprint::{CloudMetadata, CloudMetadataError, Place};
use sootprint_live::InstanceMetadataClient;
use tempfile::TempDir;

use crate::fake_server::{FakeApiServer, FakeResponse, RecordedRequest};

const AMAZON: &[(&str, &str)] = &[("sys_vendor", "Amazon EC2\n")];
const GOOGLE: &[(&str, &str)] = &[("sys_vendor", "Google\n"), ("product_name", "Google Compute Engine\n")];
const MICROSOFT: &[(&str, &str)] =
    &[("sys_vendor", "Microsoft Corporation\n"), ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n")];

/// A client on a machine with this firmware.
fn client_with_firmware(
    firmware: &[(&str, &str)],
    fake_server: &FakeApiServer,
) -> (InstanceMetadataClient, TempDir) {
    let dmi = tempfile::tempdir().unwrap();
    for (name, text) in firmware {
        fs::write(dmi.path().join(name), text).unwrap();
    }
    (InstanceMetadataClient::new().dmi_dir(dmi.path()).endpoint(fake_server.url()), dmi)
}

fn locate_machine(
    firmware: &[(&str, &str)],
    fake_server: &FakeApiServer,
) -> Result<Option<Place>, CloudMetadataError> {
    client_with_firmware(firmware, fake_server).0.locate()
}

/// All three services at one address, with their requirements.
fn cloud_responses(request: &RecordedRequest) -> FakeResponse {
    let refused = || FakeResponse::Body(401, String::new());
    let token = request.header("x-aws-ec2-metadata-token");
    match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token")
            if request.header("x-aws-ec2-metadata-token-ttl-seconds") == Some("60") =>
        {
            FakeResponse::Body(200, "a-token==\n".to_owned())
        }
        ("GET", "/latest/dynamic/instance-identity/document") if token == Some("a-token==") => {
            FakeResponse::Body(200, include_str!("../samples/aws_imds_identity_document.json").to_owned())
        }
        ("GET", "/computeMetadata/v1/instance/zone")
            if request.header("metadata-flavor") == Some("Google") =>
        {
            FakeResponse::WithHeader(
                "Metadata-Flavor: Google",
                "projects/123456789012/zones/us-central1-a".to_owned(),
            )
        }
        ("GET", "/metadata/instance?api-version=2021-02-01")
            if request.header("metadata") == Some("true") =>
        {
            FakeResponse::Body(200, include_str!("../samples/azure_imds_instance.json").to_owned())
        }
        _ => refused(),
    }
}

#[test]
fn each_cloud_reports_its_region() {
    for (firmware, code, request_count) in [
        (AMAZON, "aws:us-east-1", 2),
        (&[("sys_vendor", "Xen"), ("bios_version", "4.2.amazon")], "aws:us-east-1", 2),
        (GOOGLE, "gcp:us-central1", 1),
        (MICROSOFT, "azure:westeurope", 1),
    ] {
        let fake_server = FakeApiServer::start_with_handler(cloud_responses);
        let place = locate_machine(firmware, &fake_server).unwrap().unwrap();
        assert_eq!(place.code(), code);
        let requests = fake_server.requests();
        assert_eq!(requests.len(), request_count, "{requests:?}");
        for request in requests {
            assert!(!request.path.contains("recursive"), "{}", request.path);
            assert!(request.header("x-forwarded-for").is_none());
        }
    }
}

#[test]
fn two_digit_zone_keeps_region() {
    let fake_server = FakeApiServer::start_with_handler(|_| {
        FakeResponse::WithHeader("Metadata-Flavor: Google", "projects/1/zones/europe-west10-a".to_owned())
    });
    assert_eq!(locate_machine(GOOGLE, &fake_server).unwrap().unwrap().code(), "gcp:europe-west10");
}

#[test]
fn unknown_vendor_sends_no_request() {
    let fake_server = FakeApiServer::start_with_handler(cloud_responses);
    for firmware in [
        &[][..],
        &[("sys_vendor", "Dell Inc.")],
        &[("sys_vendor", "QEMU")],
        &[("sys_vendor", "Xen"), ("bios_version", "4.17")],
        // A Chromebook, and a Microsoft laptop.
        &[("sys_vendor", "Google"), ("product_name", "Eve")],
        &[("sys_vendor", "Microsoft Corporation"), ("chassis_asset_tag", "0")],
    ] {
        assert_eq!(locate_machine(firmware, &fake_server).unwrap(), None, "{firmware:?}");
    }
    assert!(fake_server.requests().is_empty());
}

#[test]
fn invalid_response_names_vendor() {
    for (firmware, reply, expected) in [
        (AMAZON, (|| FakeResponse::Body(401, String::new())) as fn() -> FakeResponse, "AWS"),
        (AMAZON, || FakeResponse::Body(200, "{}".to_owned()), "AWS"),
        // Another service at the same address.
        (GOOGLE, || FakeResponse::Body(200, "projects/1/zones/us-central1-a".to_owned()), "not Google"),
        (
            GOOGLE,
            || FakeResponse::WithHeader("Metadata-Flavor: Google", "nowhere".to_owned()),
            "invalid zone",
        ),
        (GOOGLE, || FakeResponse::Body(302, String::new()), "Google Cloud"),
        (MICROSOFT, || FakeResponse::Body(200, "<html>".to_owned()), "Azure"),
        (MICROSOFT, || FakeResponse::Body(429, String::new()), "Azure"),
        (MICROSOFT, || FakeResponse::Raw(b""), "Azure"),
        (
            MICROSOFT,
            || FakeResponse::Body(200, r#"{"compute":{"location":"moon"}}"#.to_owned()),
            "azure:moon",
        ),
    ] {
        let fake_server = FakeApiServer::start_by_path(move |_| reply());
        let error = locate_machine(firmware, &fake_server).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("SOOTPRINT_PLACE"), "{error}");
    }
}

#[test]
fn slow_service_times_out() {
    // The token arrives late, the document never.
    let fake_server = FakeApiServer::start_with_handler(|request| match request.method.as_str() {
        "PUT" => {
            std::thread::sleep(Duration::from_millis(900));
            FakeResponse::Body(200, "a-token".to_owned())
        }
        _ => FakeResponse::Hang,
    });
    let started_at = Instant::now();
    assert!(matches!(locate_machine(AMAZON, &fake_server), Err(CloudMetadataError::Unavailable { .. })));
    // One second per request would take 1.9 s; a busy machine may add a little to the total of one second.
    assert!(started_at.elapsed() < Duration::from_millis(1_800), "{:?}", started_at.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_response_gives_cloud_or_error(text in any::<String>(), region in "[-a-z0-9/:]{0,30}") {
        for (firmware, body) in [
            (AMAZON, format!(r#"{{"region":"{region}"}}"#)),
            (GOOGLE, region.clone()),
            (MICROSOFT, format!(r#"{{"compute":{{"location":"{region}"}}}}"#)),
            (AMAZON, text.clone()),
            (GOOGLE, text.clone()),
            (MICROSOFT, text.clone()),
        ] {
            let fake_server = FakeApiServer::start_by_path(move |_| FakeResponse::WithHeader("Metadata-Flavor: Google", body.clone()));
            if let Ok(place) = locate_machine(firmware, &fake_server) {
                prop_assert!(place.is_some_and(|place| place.cloud_region().is_some()));
            }
        }
    }
}
