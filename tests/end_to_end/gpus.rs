//! Runs on a fake NVML library: the expected energy is computed by hand from the script.

use std::path::PathBuf;
use std::time::Duration;

use sootprint::{ComponentKind, ComponentSummary, DeviceId, Footprint, MeasurementMethod, Run};

use nvidia_ml::{FakeGpu, NvmlScript, ScriptClock, install};

const UUIDS: [&str; 2] =
    ["GPU-aaaaaaaa-0000-0000-0000-000000000000", "GPU-bbbbbbbb-0000-0000-0000-000000000000"];

/// A GPU with constant power and an energy counter.
fn steady_gpu(index: usize, watts: u32) -> FakeGpu {
    FakeGpu::new(UUIDS[index], format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .power_limit(700)
        .power_from(Duration::ZERO, watts)
        .energy_counter(Duration::from_millis(1))
}

/// A fake NVML library with scripted GPUs; the sampler uses the same virtual time.
struct GpuRunFixture {
    folder: tempfile::TempDir,
    gpu_clock: ScriptClock,
    sampler_clock: sootprint::VirtualClock,
    library: PathBuf,
}

impl GpuRunFixture {
    fn new(gpus: impl IntoIterator<Item = FakeGpu>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gpu_clock = ScriptClock::new(folder.path().join("clock")).unwrap();
        let script = gpus.into_iter().fold(NvmlScript::new().with_clock(&gpu_clock), NvmlScript::with_gpu);
        let library = install(&script, folder.path()).unwrap();
        Self { folder, gpu_clock, sampler_clock: sootprint::VirtualClock::default(), library }
    }

    fn start(&self) -> Run {
        let clock = self.sampler_clock.clone();
        Run::pre_training(self.folder.path().join("run"))
            .nvml_library(&self.library)
            .virtual_clock(clock)
            .start()
    }

    /// Advances the time in steps at which the sampler reads the GPUs, as in a real run.
    fn advance_sampled(&self, run: &Run, millis: u64) {
        for _ in 0..millis / 200 {
            self.advance(200);
            assert!(run.handle().flush(Duration::from_secs(10)));
        }
        self.advance(millis % 200);
    }

    fn advance(&self, millis: u64) {
        let now = self.sampler_clock.now() + Duration::from_millis(millis);
        self.gpu_clock.set_millis(now.as_millis() as u64).unwrap();
        self.sampler_clock.advance(Duration::from_millis(millis));
    }
}

fn gpu_components(footprint: &Footprint) -> Vec<&ComponentSummary> {
    footprint.components.iter().filter(|component| component.kind == ComponentKind::Gpu).collect()
}

fn rounded_joules(gpu: &ComponentSummary) -> f64 {
    gpu.energy.joules().round()
}

#[test]
fn two_gpus_add_to_modelled_cpu() {
    let machine = GpuRunFixture::new([steady_gpu(0, 300), steady_gpu(1, 500)]);
    let run = machine.start();
    machine.advance_sampled(&run, 10_000);
    let footprint = run.finish();
    let energies: Vec<_> =
        gpu_components(&footprint).into_iter().map(|gpu| (gpu.method, rounded_joules(gpu))).collect();
    assert_eq!(
        energies,
        [(Some(MeasurementMethod::Counter), 3_000.0), (Some(MeasurementMethod::Counter), 5_000.0)]
    );
    assert_eq!(footprint.energy.gpu.joules().round(), 8_000.0);
    assert_eq!(footprint.hardware, "2 x NVIDIA H200");
    let parts = footprint.energy.gpu + footprint.energy.cpu + footprint.energy.memory;
    assert!((parts - footprint.energy.total).joules().abs() < 1e-6);
}

#[test]
fn only_selected_gpu_is_counted() {
    let device_ids =
        [DeviceId::CudaOrdinal(1), DeviceId::Uuid(UUIDS[1].into()), DeviceId::Pci("00000000:08:00.0".into())];
    for device_id in device_ids {
        let machine = GpuRunFixture::new([steady_gpu(0, 300), steady_gpu(1, 500)]);
        let run = machine.start();
        run.handle().add_devices([device_id.clone()]);
        machine.advance_sampled(&run, 10_000);
        let footprint = run.finish();
        let counted: Vec<_> = gpu_components(&footprint)
            .into_iter()
            .map(|gpu| (gpu.id.as_str(), rounded_joules(gpu)))
            .collect();
        assert_eq!(counted, [(UUIDS[1], 5_000.0)], "{device_id:?}");
    }
}

#[test]
fn unselected_run_counts_own_gpus_only() {
    let neighbour = 1; // PID 1 never belongs to this test.
    let machine = GpuRunFixture::new([
        steady_gpu(0, 300).with_process(neighbour),
        steady_gpu(1, 500).with_process(std::process::id()).with_process(neighbour),
    ]);
    let run = machine.start();
    machine.advance_sampled(&run, 10_000);
    let footprint = run.finish();
    let counted: Vec<_> = gpu_components(&footprint)
        .into_iter()
        .map(|it| (it.id.as_str(), rounded_joules(it), it.shared))
        .collect();
    assert_eq!(counted, [(UUIDS[1], 5_000.0, true)]);
}

#[test]
fn lost_gpu_keeps_its_energy() {
    let machine =
        GpuRunFixture::new([steady_gpu(0, 300).lost_at(Duration::from_secs(5)), steady_gpu(1, 500)]);
    let run = machine.start();
    machine.advance_sampled(&run, 10_000);
    let footprint = run.finish();
    let energies: Vec<_> = gpu_components(&footprint).into_iter().map(rounded_joules).collect();
    // The last valid reading was 200 ms before the loss.
    assert_eq!(energies, [1_440.0, 5_000.0]);
    let note = footprint.notes.iter().find(|note| note.contains(UUIDS[0])).unwrap();
    assert!(note.contains("lost"), "{note}");
    let lost = gpu_components(&footprint)[0];
    assert!((lost.measured_s - 4.8).abs() < 1e-6 && (lost.unmeasured_s - 5.2).abs() < 1e-6, "{lost:?}");
    // The tick interval was never observed on this clock, so the counter may lag by 0.25 s at the power
    // limit, at both ends.
    let lag = 2.0 * 0.25 * 700.0;
    assert_eq!(lost.high.joules().round(), (1_440.0_f64 / 0.95 + 700.0 * 5.2 + lag).round());
}

#[test]
fn counter_reset_is_bridged_by_power() {
    let machine = GpuRunFixture::new([steady_gpu(0, 300)
        .initial_counter(5_000)
        .counter_reset(Duration::from_millis(5_130))]);
    let run = machine.start();
    machine.advance_sampled(&run, 10_000);
    let footprint = run.finish();
    let gpu = gpu_components(&footprint)[0];
    assert_eq!(gpu.resets, 1);
    assert!(
        (rounded_joules(gpu) / 3_000.0 - 1.0).abs() <= 0.01,
        "{} J, of 3,000 J in truth",
        rounded_joules(gpu)
    );
    assert!(
        footprint.notes.iter().any(|note| note.contains("energy counter reset")),
        "{:?}",
        footprint.notes
    );
}

#[test]
fn missing_nvml_library_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::pre_training(folder.path()).nvml_library("/nowhere/libnvidia-ml.so.1").start();
    let footprint = run.finish();
    assert!(
        footprint.notes.iter().any(|note| note.contains("/nowhere/libnvidia-ml.so.1")),
        "{:?}",
        footprint.notes
    );
    assert!(gpu_components(&footprint).is_empty());
}
