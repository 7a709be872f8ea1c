//! Peak memory of a push, which does not depend on the size of the weights.
//!
//! ```sh
//! cargo test -p sootprint-hub --test publish -- --ignored memory --nocapture
//! ```
//!
//! `SOOTPRINT_TEST_MIB` is the size of the weights, 2048 by default. A debug build on two cores took 197 s and a peak of
//! 231 MB.

#![allow(clippy::print_stdout, reason = "prints the measured figure")]

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fake_hub::FakeHub;
use sootprint_hub::{HubToken, ModelUpload, RetryPolicy};

use crate::fixture::sample_footprint;

const TEST_NAME: &str = "memory::two_gib_push_under_300_mb";

/// The role of this process: `hub`, `client`, or, if unset, the parent of both.
const ROLE_VARIABLE: &str = "SOOTPRINT_HUB_TEST_ROLE";
const DIR_VARIABLE: &str = "SOOTPRINT_HUB_TEST_FOLDER";
const ENDPOINT_VARIABLE: &str = "SOOTPRINT_HUB_TEST_ENDPOINT";

#[test]
#[ignore = "writes 4 GiB and takes minutes; run it with `cargo test -p sootprint-hub --test publish memory -- --ignored`"]
fn two_gib_push_under_300_mb() {
    match std::env::var(ROLE_VARIABLE).as_deref() {
        Ok("hub") => run_hub_process(),
        Ok(_) => run_push_process(),
        Err(_) => run_measurement(),
    }
}

fn run_measurement() {
    let mebibytes: u64 = std::env::var("SOOTPRINT_TEST_MIB").map_or(2048, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    write_noise(&model.join("model.bpk"), mebibytes).unwrap();

    let mut hub = spawn_process("hub", folder.path(), "");
    let mut lines = BufReader::new(hub.stdout.take().unwrap()).lines().map(Result::unwrap);
    let endpoint = lines.find_map(|line| line.strip_prefix("endpoint ").map(str::to_owned)).unwrap();
    let begin = Instant::now();
    let mut client = spawn_process("client", folder.path(), &endpoint);
    let mut output = String::new();
    client.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let status = client.wait().unwrap();
    drop(hub.stdin.take());
    hub.wait().unwrap();
    assert!(status.success(), "{output}");
    let peak = output.lines().find_map(|line| line.strip_prefix("peak ")).unwrap();
    let peak: u64 = peak.parse().unwrap();
    println!(
        "pushing {mebibytes} MiB took {:.0} s and a peak of {:.0} MB",
        begin.elapsed().as_secs_f64(),
        peak as f64 / 1e6
    );
    assert!(peak < 300_000_000, "{peak} bytes");
}

/// Runs a Hub with storage on disk until stdin ends.
fn run_hub_process() {
    let folder = std::env::var(DIR_VARIABLE).unwrap();
    let hub = FakeHub::start_on_disk(Path::new(&folder).join("storage")).unwrap();
    println!("\nendpoint {}", hub.endpoint());
    io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
}

fn run_push_process() {
    let (folder, endpoint) =
        (std::env::var(DIR_VARIABLE).unwrap(), std::env::var(ENDPOINT_VARIABLE).unwrap());
    let policy = RetryPolicy { read_timeout: Duration::from_secs(900), ..RetryPolicy::default() };
    let report = ModelUpload::new(&sample_footprint(), Path::new(&folder).join("model"), "me/digits")
        .endpoint(endpoint)
        .token(HubToken::new("hf_loopback").unwrap())
        .retry_policy(policy)
        .push()
        .unwrap();
    assert!(report.files.iter().any(|file| file.is_lfs && file.path == "model.bpk"));
    println!("\npeak {}", peak_rss_bytes());
}

/// The peak resident memory of this process, in bytes, from Linux.
fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn spawn_process(role: &str, folder: &Path, endpoint: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([TEST_NAME, "--exact", "--ignored", "--nocapture"])
        .env(ROLE_VARIABLE, role)
        .env(DIR_VARIABLE, folder)
        .env(ENDPOINT_VARIABLE, endpoint)
        .env("HF_HOME", folder.join(format!("home-of-{role}")))
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env_remove("HF_XET_CACHE")
        .env_remove("HF_HUB_OFFLINE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Bytes that do not compress and never repeat, by Marsaglia's xorshift64.
fn write_noise(path: &Path, mebibytes: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..mebibytes << 17 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.flush()
}
