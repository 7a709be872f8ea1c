//! GPU drivers that lie, hang or answer late, seen through the real binary.

use std::process::Output;
use std::time::{Duration, Instant};

use nvidia_ml::{FakeGpu, NvmlScript, install};
use serde_json::Value;

use crate::sandbox::{TestSandbox, status, stderr, with_timeout};

const UUID: &str = "GPU-aaaaaaaa-0000-0000-0000-000000000000";
const SECOND: Duration = Duration::from_secs(1);

fn gpu(watts: u32) -> FakeGpu {
    FakeGpu::new(UUID, "0000:07:00.0", "Unknown GPU").power_from(Duration::ZERO, watts)
}

fn gpu_with_counter(watts: u32) -> FakeGpu {
    gpu(watts).energy_counter(Duration::from_millis(20)).initial_counter(22_000)
}

/// The result of a command on a machine with a fake NVML library.
struct DriverRun {
    output: Output,
    report: Value,
    /// The time that sootprint took in addition to the command.
    overhead: Duration,
    /// The time from the start of sootprint to that of the command.
    delay: Duration,
}

impl DriverRun {
    /// Runs `seconds` of sleep and exits with `code`.
    fn new(script: &NvmlScript, seconds: u32, code: u32) -> Self {
        let sandbox = TestSandbox::new();
        let folder = tempfile::tempdir().unwrap();
        let library = install(script, folder.path()).unwrap();
        let shell = format!("date +%s.%N > started; sleep {seconds}; exit {code}");
        let words =
            ["run", "--pre-training", "--out", "out", "--card", "README.md", "--", "sh", "-c", &shell];
        let mut command = sandbox.sootprint_command(&words);
        command
            .env_remove("SOOTPRINT_REPLAY")
            .env("SOOTPRINT_NVML", library)
            .env("SOOTPRINT_PLACE", "France");
        std::fs::write(sandbox.path("README.md"), "# A model\n").unwrap();
        let (began, clock) = (Instant::now(), std::time::SystemTime::now());
        let output = with_timeout("the command's end", move || command.output().unwrap());
        let overhead = began.elapsed().saturating_sub(Duration::from_secs(seconds.into()));
        let started: f64 = std::fs::read_to_string(sandbox.path("started")).unwrap().trim().parse().unwrap();
        let clock = clock.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let delay = Duration::from_secs_f64(started).saturating_sub(clock);
        let report = sandbox.report_json(&[]);
        let card = std::fs::read_to_string(sandbox.path("README.md")).unwrap();
        assert_eq!(card.contains("co2_eq_emissions"), code == 0, "{card}");
        Self { output, report, overhead, delay }
    }

    fn component(&self, kind: &str) -> &Value {
        let components = self.report["components"].as_array().unwrap();
        components.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("{kind} in {components:?}"))
    }

    /// The joules of the GPU: the lowest, the best and the highest.
    fn gpu_joules(&self) -> [f64; 3] {
        let gpu = self.component("gpu");
        ["low_j", "energy_j", "high_j"].map(|key| gpu[key].as_f64().unwrap_or_else(|| panic!("{gpu}")))
    }

    #[track_caller]
    fn assert_contains(&self, watts: f64) {
        let [low, best, high] = self.gpu_joules();
        let truth = watts * self.report["run"]["duration_s"].as_f64().unwrap();
        assert!(
            low <= truth && truth <= high,
            "{truth} J in {low}, {best}, {high}: {}",
            self.report["notes"]
        );
    }

    #[track_caller]
    fn assert_note(&self, part: &str) {
        let notes = self.report["notes"].as_array().unwrap();
        assert!(notes.iter().any(|note| note.as_str().unwrap().contains(part)), "{part}: {notes:?}");
    }

    /// The CPU and the memory were measured all the time, whatever the GPU's driver did.
    #[track_caller]
    fn assert_cpu_is_complete(&self) {
        for kind in ["cpu", "memory"] {
            let component = self.component(kind);
            assert!(component["unmeasured_s"].as_f64().unwrap() < 0.05, "{component}");
        }
    }
}

fn script(gpu: FakeGpu) -> NvmlScript {
    NvmlScript::new().with_gpu(gpu)
}

#[test]
fn frozen_counter_is_integrated() {
    let run =
        DriverRun::new(&script(gpu_with_counter(300).counter_frozen(Duration::ZERO, SECOND * 60)), 5, 0);
    run.assert_contains(300.0);
    let [_, best, _] = run.gpu_joules();
    let seconds = run.report["run"]["duration_s"].as_f64().unwrap();
    assert!((best / seconds / 300.0 - 1.0).abs() < 0.03, "{best} J in {seconds} s");
    run.assert_note("energy counter stopped");
}

#[test]
fn doctor_reports_faulty_counter() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let frozen = gpu_with_counter(300).counter_frozen(Duration::ZERO, SECOND * 60);
    let library = install(&script(frozen), folder.path()).unwrap();
    let mut command = sandbox.sootprint_command(&["doctor", "--json"]);
    command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", library);
    let output = with_timeout("doctor", move || command.output().unwrap());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nvml = report["sources"].as_array().unwrap().iter().find(|it| it["name"] == "NVML").unwrap();
    assert_eq!(nvml["state"], "faulty", "{report}");
    assert!(nvml["problems"][0].as_str().unwrap().contains("faulty energy counter"), "{nvml}");
}

#[test]
fn dips_and_steps_of_counter_are_bridged() {
    for gpu in [
        gpu_with_counter(300).counter_dip(SECOND, SECOND * 2, 200),
        gpu_with_counter(300).counter_dip(SECOND, SECOND + Duration::from_millis(50), 200).power_limit(700),
        gpu_with_counter(300).counter_steps_back(SECOND * 2, 150),
    ] {
        let run = DriverRun::new(&script(gpu), 4, 0);
        run.assert_contains(300.0);
        let [low, best, high] = run.gpu_joules();
        assert!((best / 1_200.0 - 1.0).abs() < 0.2 && high < 5_000.0, "{low}, {best}, {high}");
    }
}

#[test]
fn absurd_power_is_unmeasured() {
    let absurd = gpu(100).false_power(Duration::ZERO, SECOND * 60, 4_294_967_295);
    let run = DriverRun::new(&script(absurd), 2, 0);
    run.assert_contains(100.0);
    run.assert_contains(2_900.0);
    run.assert_note("implausible reading");
}

#[test]
fn limit_of_zero_counts_as_unreported() {
    let run = DriverRun::new(&script(gpu_with_counter(300).power_limit(0)), 3, 0);
    run.assert_contains(300.0);
    let [low, best, _] = run.gpu_joules();
    assert!(low > 100.0 && (best / 900.0 - 1.0).abs() < 0.1, "{low}, {best}");
}

#[test]
fn lost_gpu_is_bounded_without_limit() {
    let run = DriverRun::new(&script(gpu_with_counter(300).lost_at(SECOND)), 3, 0);
    run.assert_contains(300.0);
    run.assert_contains(900.0);
}

#[test]
fn hanging_init_delays_nothing() {
    let run = DriverRun::new(&script(gpu(300)).init_delay(SECOND * 3_600), 4, 8);
    assert_eq!(status(&run.output), Some(8), "{}", stderr(&run.output));
    assert_eq!(run.report["run"]["outcome"], "failed");
    assert!(run.delay < Duration::from_millis(400), "the command started after {:?}", run.delay);
    assert!(run.overhead < SECOND * 3, "{:?}", run.overhead);
    run.assert_note("no answer from the driver");
    let gpu = run.component("gpu");
    assert_eq!((&gpu["method"], &run.report["run"]["partial"]), (&Value::Null, &true.into()), "{gpu}");
    run.assert_cpu_is_complete();
}

#[test]
fn slow_init_adds_gpu_later() {
    let run = DriverRun::new(&script(gpu_with_counter(300)).init_delay(SECOND), 4, 0);
    assert!(run.delay < Duration::from_millis(400), "the command started after {:?}", run.delay);
    let unmeasured = run.component("gpu")["unmeasured_s"].as_f64().unwrap();
    assert!((0.8..2.0).contains(&unmeasured), "{unmeasured} s");
    run.assert_contains(300.0);
    run.assert_note("GPUs are measured from");
    run.assert_cpu_is_complete();
}

#[test]
fn queries_that_never_return_delay_nothing() {
    for from in [Duration::ZERO, SECOND * 2] {
        let run = DriverRun::new(&script(gpu_with_counter(300).hangs_from(from)), 4, 8);
        assert_eq!(status(&run.output), Some(8), "{}", stderr(&run.output));
        assert_eq!(run.report["run"]["outcome"], "failed");
        assert!(run.delay < Duration::from_millis(400), "the command started after {:?}", run.delay);
        assert!(run.overhead < SECOND * 4, "{:?}", run.overhead);
        run.assert_cpu_is_complete();
        if !from.is_zero() {
            run.assert_contains(300.0);
            run.assert_note("the driver has not answered");
        }
    }
}

#[test]
fn slow_queries_are_read_late() {
    let run = DriverRun::new(&script(gpu_with_counter(300).query_delay(SECOND)), 6, 0);
    assert!(run.delay < Duration::from_millis(400), "the command started after {:?}", run.delay);
    assert!(run.overhead < SECOND * 4, "{:?}", run.overhead);
    run.assert_cpu_is_complete();
}

#[test]
fn absurd_counts_are_capped() {
    let lying = script(gpu_with_counter(300).process_count(4_000_000_000)).device_count(4_000_000_000);
    let run = DriverRun::new(&lying, 2, 0);
    assert!(run.overhead < SECOND * 3, "{:?}", run.overhead);
    run.assert_contains(300.0);
    run.assert_note("NVML reports 4000000000 GPUs");
}

/// The processes that have this text in their command line.
#[cfg(target_os = "linux")]
fn processes_with(text: &str) -> Vec<u32> {
    let ids =
        std::fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        std::fs::read(format!("/proc/{id}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    })
    .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn helper_ends_with_hanging_driver() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let library = install(&script(gpu(300)).init_delay(SECOND * 3_600), folder.path()).unwrap();
    let mut command = sandbox.sootprint_command(&["run", "--", "sleep", "1"]);
    command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", &library);
    let mut child = command.spawn().unwrap();
    let path = library.to_str().unwrap().to_owned();
    let deadline = Instant::now() + SECOND * 60;
    while processes_with(&path).is_empty() {
        assert!(Instant::now() < deadline, "the helper has not started");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    while !processes_with(&path).is_empty() {
        assert!(Instant::now() < deadline, "the helper is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn run_continues_without_killed_helper() {
    let sandbox = TestSandbox::new();
    let folder = tempfile::tempdir().unwrap();
    let library = install(&script(gpu_with_counter(300)), folder.path()).unwrap();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sleep", "3"]);
    command.env_remove("SOOTPRINT_REPLAY").env("SOOTPRINT_NVML", &library);
    let mut child = command.spawn().unwrap();
    let path = library.to_str().unwrap().to_owned();
    let deadline = Instant::now() + SECOND * 60;
    let helper = loop {
        if let [helper] = processes_with(&path)[..] {
            break helper;
        }
        assert!(Instant::now() < deadline, "the helper has not started");
        std::thread::sleep(Duration::from_millis(5));
    };
    std::thread::sleep(SECOND);
    assert!(std::process::Command::new("kill").args(["-9", &helper.to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let report = sandbox.report_json(&[]);
    let gpu = report["components"].as_array().unwrap().iter().find(|it| it["kind"] == "gpu").unwrap();
    assert!(gpu["measured_s"].as_f64().unwrap() > 0.4, "{gpu}");
    assert!(gpu["unmeasured_s"].as_f64().unwrap() > 0.4, "{gpu}");
    assert!(gpu["high_j"].as_f64().unwrap() > 900.0, "{gpu}");
}

/// A machine whose driver lies or hangs, from a random seed; the watts of its GPU; whether the driver hangs, and whether
/// its counter loses energy.
fn random_script(seed: &mut u64) -> (NvmlScript, f64, [bool; 2]) {
    let mut random = |below: u64| {
        // The generator of Numerical Recipes; its upper bits are good enough here.
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    };
    let millis = Duration::from_millis;
    let watts = 20 + random(600) as u32;
    let mut gpu = gpu(watts);
    if random(4) > 0 {
        gpu = gpu.energy_counter(millis(15 + random(90))).initial_counter(random(1_000_000) as u32);
    }
    if random(2) == 0 {
        gpu = gpu.power_fields();
    }
    if random(2) == 0 {
        gpu = gpu.power_limit([0, 700, 1_000][random(3) as usize]);
    }
    let (at, length) = (millis(random(4_000)), millis(random(6_000)));
    let (mut hangs, mut loses_energy) = (false, false);
    gpu = match random(9) {
        0 => gpu.counter_frozen(at, SECOND * 3_600),
        1 => gpu.counter_dip(at, at + length, random(400) as u32),
        2 => {
            loses_energy = true;
            gpu.counter_steps_back(at, 150 + random(500) as u32)
        }
        3 => gpu.false_power(at, at + length, [0, 87, 593_000_000, u32::MAX][random(4) as usize]),
        4 => gpu.lost_at(at),
        5 => {
            hangs = true;
            gpu.hangs_from(at)
        }
        6 => gpu.query_delay(millis(random(300))),
        7 => gpu.counter_reset(at),
        _ => gpu,
    };
    let script = script(gpu);
    let script = match random(8) {
        0 => {
            hangs = true;
            script.init_delay(SECOND * 3_600)
        }
        1 => script.init_delay(millis(random(3_000))),
        _ => script,
    };
    (script, f64::from(watts), [hangs, loses_energy])
}

/// Runs random machines for ten minutes, or for as many seconds as `SOOTPRINT_FAULT_SECONDS` says; `SOOTPRINT_FAULT_SEED`
/// repeats a failure.
#[test]
#[ignore = "ten minutes: cargo test -p sootprint-cli --test command random_driver_faults -- --ignored --nocapture"]
fn random_driver_faults() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let fixed = number("SOOTPRINT_FAULT_SEED");
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let first = fixed.unwrap_or(now.as_nanos() as u64);
    let deadline = Instant::now() + Duration::from_secs(number("SOOTPRINT_FAULT_SECONDS").unwrap_or(600));
    std::thread::scope(|scope| {
        for lane in 0..4 {
            scope.spawn(move || {
                for run in 0.. {
                    let seed = fixed.unwrap_or(first.wrapping_add(lane * 1_000_003 + run));
                    println!("SOOTPRINT_FAULT_SEED={seed}");
                    check_random_machine(seed);
                    if fixed.is_some() || Instant::now() > deadline {
                        break;
                    }
                }
            });
        }
    });
}

fn check_random_machine(seed: u64) {
    let mut state = seed;
    let (script, watts, [hangs, loses_energy]) = random_script(&mut state);
    let (seconds, code) = (1 + (state >> 40) as u32 % 6, (state >> 50) as u32 % 3 * 4);
    let run = DriverRun::new(&script, seconds, code);
    let context = || format!("seed {seed}: {script}\n{}", run.report);
    assert_eq!(status(&run.output), Some(code as i32), "{}", context());
    let outcome = if code == 0 { "completed" } else { "failed" };
    assert_eq!(run.report["run"]["outcome"], outcome, "{}", context());
    assert!(run.delay < Duration::from_millis(400), "started after {:?}: {}", run.delay, context());
    let most = if hangs { SECOND * 5 } else { SECOND * 3 };
    assert!(run.overhead < most, "{:?} longer: {}", run.overhead, context());
    run.assert_cpu_is_complete();
    let components = run.report["components"].as_array().unwrap();
    let has_gpu = components.iter().any(|it| it["kind"] == "gpu" && it["id"] == UUID);
    if has_gpu {
        let [low, _, high] = run.gpu_joules();
        let truth = watts * run.report["run"]["duration_s"].as_f64().unwrap();
        // A loss within the errors of both sensors cannot be seen.
        let unseen = if loses_energy { 0.05 * truth } else { 0.0 };
        assert!(low <= truth && truth <= high + unseen, "{truth} J in {low} to {high}: {}", context());
    }
}
