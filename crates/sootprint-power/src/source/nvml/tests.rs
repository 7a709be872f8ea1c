//! Tests with a scripted NVML library on a virtual clock, whose GPUs have a known true energy.

use sootprint_core::{Energy, MeasurementMethod};

use super::*;
use nvidia_ml::{FakeGpu as Scripted, NvmlScript, ScriptClock, install};

const GPU_UUIDS: [&str; 2] =
    ["GPU-aaaaaaaa-0000-0000-0000-000000000000", "GPU-bbbbbbbb-0000-0000-0000-000000000000"];

/// A GPU that draws 100 W for 700 ms and 400 W for 330 ms, repeatedly.
fn scripted_gpu(index: usize) -> Scripted {
    Scripted::new(GPU_UUIDS[index], format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .power_limit(700)
        .power_from(Duration::ZERO, 100)
        .power_from(Duration::from_millis(700), 400)
        .repeat_every(Duration::from_millis(1_030))
}

/// An NVML library with these GPUs, and the clock that advances them.
struct NvmlFixture {
    clock: ScriptClock,
    library: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl NvmlFixture {
    fn new(gpus: impl IntoIterator<Item = Scripted>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ScriptClock::new(folder.path().join("clock")).unwrap();
        let script = gpus.into_iter().fold(NvmlScript::new().with_clock(&clock), NvmlScript::with_gpu);
        let library = install(&script, folder.path()).unwrap();
        Self { clock, library, _folder: folder }
    }

    fn open(&self, visible: Option<&str>) -> Nvml {
        let visibility = CudaVisibility::new(visible, Some("PCI_BUS_ID"));
        Nvml::open(Some(self.library.as_os_str()), &visibility).unwrap()
    }
}

fn counter_joules(reading: Result<SensorReading, ReadError>) -> f64 {
    match reading.unwrap() {
        SensorReading::Counter(energy) => energy.joules(),
        other => panic!("{other:?} is no counter"),
    }
}

#[test]
fn missing_library_error_names_fix() {
    let error = Nvml::open(Some("/nowhere/libnvidia-ml.so.1".as_ref()), &CudaVisibility::new(None, None))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(matches!(error, NvmlError::NoLibrary { .. }), "{text}");
    assert!(text.contains("/nowhere/libnvidia-ml.so.1") && text.contains("SOOTPRINT_NVML"), "{text}");
}

#[test]
fn counter_is_preferred_and_exact() {
    let machine = NvmlFixture::new([scripted_gpu(0).energy_counter(Duration::from_millis(1))]);
    let mut nvml = machine.open(None);
    let component = &nvml.components()[0];
    assert_eq!((component.method, component.id.as_str()), (MeasurementMethod::Counter, GPU_UUIDS[0]));
    assert_eq!(component.limit, Some(Power::from_watts(700.0)));
    let start = counter_joules(nvml.read(0, Duration::ZERO));
    machine.clock.set_millis(10_300).unwrap();
    assert!(nvml.is_ticking_counter(0));
    let cadence =
        [0, 500, 5_000].map(|cost| nvml.cadence(0).interval(Duration::from_micros(cost)).as_millis());
    assert_eq!(cadence, [200, 500, 30_000]);
    // Ten periods of 70 J + 132 J.
    assert!((counter_joules(nvml.read(0, Duration::ZERO)) - start - 2_020.0).abs() < 1e-6);
}

#[test]
fn instant_power_preferred_over_average() {
    let machine = NvmlFixture::new([
        scripted_gpu(0).averaging_window(Duration::from_secs(1)).power_fields(),
        scripted_gpu(1).averaging_window(Duration::from_secs(1)),
    ]);
    let mut nvml = machine.open(None);
    let cadence = |index| {
        [0, 500, 5_000].map(|cost| nvml.cadence(index).interval(Duration::from_micros(cost)).as_millis())
    };
    assert_eq!([cadence(0), cadence(1)], [[12, 60, 100], [MEAN_POWER_WINDOW.as_millis(); 3]]);
    machine.clock.set_millis(1_030).unwrap();
    assert_eq!(nvml.read(0, Duration::ZERO), Ok(SensorReading::Instant(Power::from_watts(100.0))));
    // Over the last second: 0.67 s at 100 W and 0.33 s at 400 W.
    assert_eq!(
        nvml.read(1, Duration::ZERO),
        Ok(SensorReading::Averaged { mean: Power::from_watts(199.0), window: Some(MEAN_POWER_WINDOW) })
    );
}

#[test]
fn visible_gpus_follow_cuda_order() {
    let machine =
        NvmlFixture::new([0, 1].map(|index| scripted_gpu(index).energy_counter(Duration::from_millis(20))));
    let ids = |visible| machine.open(visible).components().into_iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids(None), GPU_UUIDS);
    assert_eq!(ids(Some("1,0")), [GPU_UUIDS[1], GPU_UUIDS[0]]);
    assert_eq!(ids(Some("GPU-bb")), [GPU_UUIDS[1]]);
    assert!(ids(Some("")).is_empty());
}

#[test]
fn unknown_mig_slice_is_reported() {
    let machine = NvmlFixture::new([scripted_gpu(0).energy_counter(Duration::from_millis(20))]);
    let nvml = machine.open(Some("MIG-4b5c"));
    assert!(nvml.components().is_empty());
    assert!(nvml.gaps().iter().any(|gap| gap.contains("MIG-4b5c")), "{:?}", nvml.gaps());
}

#[test]
fn unreadable_gpu_does_not_affect_others() {
    let unreadable = Scripted::new(GPU_UUIDS[0], "0000:07:00.0", "Old GPU");
    let machine = NvmlFixture::new([
        unreadable,
        scripted_gpu(1).energy_counter(Duration::from_millis(20)).without_memory_info(),
    ]);
    let nvml = machine.open(None);
    assert_eq!(nvml.components().len(), 1);
    assert!(
        nvml.gaps()[0].contains(GPU_UUIDS[0]) && nvml.gaps()[0].contains("not measured"),
        "{:?}",
        nvml.gaps()
    );
}

#[test]
fn gpu_lost_at_start_is_bounded() {
    let machine = NvmlFixture::new([
        scripted_gpu(0).energy_counter(Duration::from_millis(20)).lost_at(Duration::ZERO),
        scripted_gpu(1).energy_counter(Duration::from_millis(20)),
    ]);
    let mut nvml = machine.open(None);
    let components = nvml.components();
    assert_eq!((components.len(), components[0].id.as_str()), (2, GPU_UUIDS[1]));
    assert_eq!(components[1].max_power(), Some(Power::from_watts(3_000.0)));
    assert!(nvml.read(0, Duration::ZERO).is_ok() && nvml.read(1, Duration::ZERO).is_err());
    // Which GPU it is cannot be known, so it is left out if the user selects devices.
    assert_eq!(machine.open(Some("0")).components().len(), 1);
}

#[test]
fn lost_gpu_differs_from_failed_read() {
    let machine = NvmlFixture::new([scripted_gpu(0)
        .energy_counter(Duration::from_millis(20))
        .lost_at(Duration::from_secs(5))]);
    let mut nvml = machine.open(None);
    assert!(nvml.read(0, Duration::ZERO).is_ok());
    machine.clock.set_millis(5_000).unwrap();
    assert!(matches!(nvml.read(0, Duration::ZERO), Err(ReadError::Lost(_))));
    assert!(matches!(nvml.read(9, Duration::ZERO), Err(ReadError::Failed(_))));
}

const MIG_UUIDS: [&str; 2] =
    ["MIG-11111111-0000-0000-0000-000000000000", "MIG-22222222-0000-0000-0000-000000000000"];

/// A GPU with two MIG slices, of three and of one of its seven parts, with a process on the second.
fn mig_gpu() -> Scripted {
    scripted_gpu(0)
        .energy_counter(Duration::from_millis(1))
        .with_mig_slice(MIG_UUIDS[0], 3, &[])
        .with_mig_slice(MIG_UUIDS[1], 1, &[4_711])
}

#[test]
fn mig_slice_gets_proportional_energy() {
    let machine = NvmlFixture::new([mig_gpu()]);
    let mut nvml = machine.open(Some(MIG_UUIDS[0]));
    assert_eq!(nvml.gaps(), Vec::<String>::new());
    let [component] = &nvml.components()[..] else { panic!("one slice") };
    assert_eq!(
        (component.id.as_str(), component.name.as_str()),
        (MIG_UUIDS[0], "NVIDIA H200 (3 of 7 slices)")
    );
    assert!((component.share - 3.0 / 7.0).abs() < 1e-12);
    assert_eq!(
        component.gpu.as_ref().map(|gpu| (gpu.cuda, gpu.pci.as_str())),
        Some((Some(0), "00000000:07:00.0"))
    );
    assert!(
        component.note.as_ref().is_some_and(|note| note.starts_with("3/7 of the energy of the whole GPU"))
    );
    let start = counter_joules(nvml.read(0, Duration::ZERO));
    machine.clock.set_millis(10_300).unwrap();
    let used = counter_joules(nvml.read(0, Duration::ZERO)) - start;
    // The GPU uses 2,020 J in ten periods.
    assert!((used - 2_020.0 * 3.0 / 7.0).abs() < 1e-6, "{used}");
    let used = Energy::from_joules(used);
    assert!(component.tolerance.lower_bound(used).joules().abs() < 1e-9);
    assert!((component.tolerance.upper_bound(used).joules() - 2_020.0 / 0.95).abs() < 1e-6);
}

#[test]
fn mig_slices_have_own_processes() {
    let machine = NvmlFixture::new([mig_gpu()]);
    let mut nvml = machine.open(Some("MIG-22,MIG-11"));
    assert_eq!([0, 1].map(|index| nvml.compute_processes(index)), [Some(vec![4_711]), Some(vec![])]);
}

#[test]
fn unselected_mig_slice_is_flagged_uncertain() {
    let machine = NvmlFixture::new([mig_gpu(), scripted_gpu(1).energy_counter(Duration::from_millis(1))]);
    let nvml = machine.open(None);
    let gpus = nvml.components().into_iter().filter_map(|component| component.gpu);
    let gpus: Vec<_> = gpus.map(|gpu| (gpu.uuid, gpu.cuda)).collect();
    let expected = [(MIG_UUIDS[0], Some(0)), (MIG_UUIDS[1], None), (GPU_UUIDS[1], Some(1))];
    assert_eq!(gpus, expected.map(|(uuid, cuda)| (uuid.to_owned(), cuda)));
    let [gap] = &nvml.gaps[..] else { panic!("one gap: {:?}", nvml.gaps) };
    assert!(gap.contains("MIG slices") && gap.contains("nvidia-smi -L"), "{gap}");
}

#[test]
fn mig_mode_without_slices_is_reported() {
    let machine = NvmlFixture::new([scripted_gpu(0).energy_counter(Duration::from_millis(1)).mig_mode(true)]);
    let nvml = machine.open(None);
    assert!(
        nvml.gaps.iter().any(|gap| gap.contains(GPU_UUIDS[0]) && gap.contains("no slice")),
        "{:?}",
        nvml.gaps
    );
}

#[test]
fn gh200_counter_includes_cpu_and_memory() {
    let superchip =
        |name: &str| Scripted::new(GPU_UUIDS[0], "0009:01:00.0", name).power_from(Duration::ZERO, 500);
    let machine = NvmlFixture::new([superchip("NVIDIA GH200 480GB")
        .power_fields()
        .energy_counter(Duration::from_millis(1))]);
    let mut nvml = machine.open(None);
    assert_eq!(nvml.components()[0].includes, [ComponentKind::Cpu, ComponentKind::Memory]);
    assert!(
        nvml.components()[0]
            .note
            .as_ref()
            .is_some_and(|note| note.contains("includes the CPU and the memory"))
    );
    assert_eq!(nvml.read_power(0), None);

    let without_counter = NvmlFixture::new([superchip("NVIDIA GH200 480GB").power_fields()]).open(None);
    let component = &without_counter.components()[0];
    assert_eq!((&component.includes, &component.note), (&vec![], &None));
    let blackwell =
        NvmlFixture::new([superchip("NVIDIA GB200").energy_counter(Duration::from_millis(1))]).open(None);
    assert_eq!(blackwell.components()[0].includes, []);
    assert!(blackwell.components()[0].note.as_ref().is_some_and(|note| note.contains("does not document")));
}
