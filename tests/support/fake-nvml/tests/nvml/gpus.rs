//! GPUs as listed and described by `nvml-wrapper`, and several libraries in one process.

use crate::fixture::{FakeNvmlFixture, NvmlTestResult, first_gpu, ms, open_library, two_phase_gpu};
use nvidia_ml::{FakeGpu, NvmlScript, SCRIPT_ENV_VAR, ScriptClock, install, library_path};
use nvml_wrapper::bitmasks::InitFlags;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{FieldIdScheme, Nvml};
use std::fs;
use std::process::Command;

fn second_gpu() -> FakeGpu {
    FakeGpu::new("GPU-bbbbbbbb-0000-0000-0000-000000000000", "0001:8a:01.0", "NVIDIA H100 PCIe")
}

#[test]
fn gpus_are_found_by_every_id() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([
        two_phase_gpu().power_limit(700),
        second_gpu().power_from(ms(0), 50).power_limit(350),
    ])?;
    let nvml = &machine.nvml;
    assert_eq!(nvml.device_count()?, 2);
    let found = [
        nvml.device_by_index(1)?,
        nvml.device_by_uuid("GPU-bbbbbbbb-0000-0000-0000-000000000000")?,
        nvml.device_by_pci_bus_id("0001:8A:01.0")?,
        nvml.device_by_pci_bus_id("00000001:8a:01.0")?,
    ];
    for gpu in found {
        assert_eq!(gpu.index()?, 1);
        assert_eq!(gpu.uuid()?, "GPU-bbbbbbbb-0000-0000-0000-000000000000");
        assert_eq!(gpu.name()?, "NVIDIA H100 PCIe");
        assert_eq!(gpu.power_usage()?, 50_000);
        assert_eq!(gpu.enforced_power_limit()?, 350_000);
        assert_eq!(gpu.power_management_limit()?, 350_000);
        let pci_info = gpu.pci_info()?;
        assert_eq!((pci_info.domain, pci_info.bus, pci_info.device), (1, 0x8a, 1));
        assert_eq!(pci_info.bus_id, "00000001:8A:01.0");
        assert_eq!(pci_info.pci_device_id, 0x10de);
    }
    assert_eq!(nvml.device_by_pci_bus_id("07:00.0")?.index()?, 0);
    Ok(())
}

#[test]
fn unknown_gpu_is_not_found() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu()])?;
    assert!(matches!(machine.nvml.device_by_index(1), Err(NvmlError::InvalidArg)));
    assert!(matches!(machine.nvml.device_by_uuid("GPU-aaaaaaaa"), Err(NvmlError::NotFound)));
    assert!(matches!(machine.nvml.device_by_pci_bus_id("0000:09:00.0"), Err(NvmlError::NotFound)));
    assert!(matches!(machine.nvml.device_by_pci_bus_id("nine"), Err(NvmlError::InvalidArg)));
    Ok(())
}

#[test]
fn bare_gpu_supports_no_readings() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu()])?;
    let gpu = machine.first_gpu_at(0)?;
    assert!(matches!(gpu.power_usage(), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.enforced_power_limit(), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.mig_mode(), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.utilization_rates(), Err(NvmlError::NotSupported)));
    assert!(gpu.running_compute_processes()?.is_empty());
    Ok(())
}

#[test]
fn memory_processes_and_utilization_are_reported() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([
        two_phase_gpu().power_limit(400).with_process(11).with_process(12),
        second_gpu().without_memory_info().with_process(13),
    ])?;
    let gpu = machine.first_gpu_at(700)?;
    let memory = gpu.memory_info()?;
    assert_eq!(memory.total, memory.reserved + memory.used + memory.free);
    assert_eq!(memory.used, 2 << 30);
    let processes = gpu.running_compute_processes()?;
    assert_eq!(processes.iter().map(|process| process.pid).collect::<Vec<_>>(), [11, 12]);
    assert!(matches!(processes[0].used_gpu_memory, UsedGpuMemory::Used(1_073_741_824)));
    assert_eq!(processes[0].gpu_instance_id, None);
    assert_eq!(gpu.utilization_rates()?.gpu, 100);

    let shared = machine.nvml.device_by_index(1)?;
    assert!(matches!(shared.memory_info(), Err(NvmlError::NotSupported)));
    assert!(matches!(shared.running_compute_processes()?[0].used_gpu_memory, UsedGpuMemory::Unavailable));
    Ok(())
}

#[test]
fn mig_slice_is_device_without_power() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([
        two_phase_gpu()
            .with_mig_slice("MIG-aaaa", 3, &[11])
            .with_mig_slice("MIG-bbbb", 1, &[])
            .with_process(12),
        second_gpu().power_from(ms(0), 50),
    ])?;
    let gpu = machine.first_gpu_at(0)?;
    assert_eq!(gpu.mig_device_count()?, 7);
    assert!(!gpu.mig_is_mig_device_handle()?);
    let slices = [gpu.mig_device_by_index(0)?, gpu.mig_device_by_index(1)?];
    assert_eq!([slices[0].uuid()?, slices[1].uuid()?], ["MIG-aaaa", "MIG-bbbb"]);
    let sizes = slices.each_ref().map(|slice| slice.attributes().map(|it| it.compute_instance_slice_count));
    assert!(matches!(sizes, [Ok(3), Ok(1)]), "{sizes:?}");
    let ids = |device: &nvml_wrapper::Device<'_>| -> Result<Vec<u32>, NvmlError> {
        Ok(device.running_compute_processes()?.into_iter().map(|process| process.pid).collect())
    };
    assert_eq!((ids(&slices[0])?, ids(&slices[1])?, ids(&gpu)?), (vec![11], vec![], vec![12]));
    assert!(slices[0].mig_is_mig_device_handle()?);
    assert_eq!(slices[1].mig_parent_device()?.uuid()?, gpu.uuid()?);
    assert!(slices[0].total_energy_consumption().is_err() && slices[0].power_usage().is_err());
    assert!(matches!(gpu.mig_device_by_index(2), Err(NvmlError::NotFound)));
    assert!(matches!(gpu.attributes(), Err(NvmlError::NotSupported)));
    assert_eq!(machine.nvml.device_by_index(1)?.mig_device_count()?, 0);
    Ok(())
}

#[test]
fn mig_mode_is_reported() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu().mig_mode(true), second_gpu().mig_mode(false)])?;
    let modes = [0, 1].map(|index| machine.nvml.device_by_index(index).and_then(|gpu| gpu.mig_mode()));
    let modes: Vec<_> = modes.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(modes.iter().map(|mode| (mode.current, mode.pending)).collect::<Vec<_>>(), [(1, 1), (0, 0)]);
    Ok(())
}

#[test]
fn two_libraries_follow_two_scripts() -> NvmlTestResult {
    let one = FakeNvmlFixture::with_gpus([two_phase_gpu().energy_counter(ms(0))])?;
    let other = FakeNvmlFixture::with_gpus([second_gpu().power_from(ms(0), 7).energy_counter(ms(0))])?;
    assert_eq!(one.first_gpu_at(1000)?.total_energy_consumption()?, 70_000 + 120_000);
    assert_eq!(other.first_gpu_at(2000)?.total_energy_consumption()?, 14_000);
    one.nvml.shutdown()?;
    assert_eq!(other.first_gpu_at(3000)?.total_energy_consumption()?, 21_000);
    Ok(())
}

#[test]
fn replaced_library_keeps_serving_loaded_copy() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu()])?;
    let library = install(&machine.script.clone().with_gpu(second_gpu()), machine.folder.path())?;
    assert_eq!(machine.nvml.device_count()?, 1);
    machine.nvml.shutdown()?;
    assert_eq!(open_library(&library)?.device_count()?, 2);
    Ok(())
}

#[test]
fn init_and_shutdown_are_counted() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu()])?;
    let library = machine.folder.path().join("libnvidia-ml.so.1");
    let again = Nvml::builder().lib_path(library.as_os_str()).flags(InitFlags::NO_ATTACH).init()?;
    again.shutdown()?;
    assert_eq!(machine.nvml.device_count()?, 1);
    Ok(())
}

#[test]
fn system_reports_versions() -> NvmlTestResult {
    let folder = tempfile::tempdir()?;
    let nvml = open_library(&install(&NvmlScript::new().driver_version("535.129.03"), folder.path())?)?;
    assert_eq!(nvml.sys_driver_version()?, "535.129.03");
    assert_eq!(nvml.sys_nvml_version()?, "13.535.129.03");
    assert_eq!(nvml.sys_cuda_driver_version()?, 13_000);
    assert_eq!(nvml.field_id_scheme(), FieldIdScheme::V12);
    assert_eq!(nvml.device_count()?, 0);
    Ok(())
}

#[test]
fn rejected_script_writes_error_file() -> NvmlTestResult {
    let folder = tempfile::tempdir()?;
    let (script, error_file) = (folder.path().join("script.nvml"), folder.path().join("script.nvml.error"));
    let library = install(&NvmlScript::new(), folder.path())?;
    let rejection_reason = |text: &str| -> Result<String, std::io::Error> {
        fs::write(&script, text)?;
        assert!(matches!(open_library(&library), Err(NvmlError::Unknown)));
        fs::read_to_string(&error_file)
    };
    assert!(
        rejection_reason("driver 580.90\nbord 0\n")?
            .ends_with("script.nvml: line 2: `0` is not the number of a board above this line\n")
    );
    assert!(rejection_reason("clock file nowhere\n")?.contains("nowhere: No such file"));
    fs::remove_file(&script)?;
    assert!(matches!(open_library(&library), Err(NvmlError::Unknown)));
    assert!(fs::read_to_string(&error_file)?.contains("script.nvml: No such file"));

    NvmlScript::new().write(&script)?;
    assert_eq!(open_library(&library)?.device_count()?, 0);
    assert!(!error_file.exists());
    Ok(())
}

#[test]
fn missing_clock_file_is_an_error() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([two_phase_gpu().energy_counter(ms(0))])?;
    let gpu = machine.first_gpu_at(1000)?;
    fs::remove_file(machine.clock.path())?;
    assert!(matches!(gpu.total_energy_consumption(), Err(NvmlError::Unknown)));
    ScriptClock::new(machine.clock.path())?.set_millis(1)?;
    assert_eq!(gpu.total_energy_consumption()?, 100);
    Ok(())
}

#[test]
fn variable_overrides_adjacent_script() -> NvmlTestResult {
    const CHILD: &str = "SCRIPTED_NVML_TEST_LIBRARY";
    // In the child process: the variables were set by the parent below.
    if let Some(library) = std::env::var_os(CHILD) {
        assert_eq!(open_library(library.as_ref())?.device_count()?, 2);
        return Ok(());
    }
    let machine = FakeNvmlFixture::with_gpus([first_gpu()])?;
    let elsewhere = tempfile::tempdir()?;
    let script = elsewhere.path().join("two boards");
    NvmlScript::new().with_gpu(first_gpu()).with_gpu(second_gpu()).write(&script)?;
    for library in [machine.folder.path().join("libnvidia-ml.so.1"), library_path()?] {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "gpus::variable_overrides_adjacent_script"])
            .env(CHILD, library)
            .env(SCRIPT_ENV_VAR, &script)
            .output()?;
        let stdout = String::from_utf8_lossy(&child.stdout);
        // A filter that matches no test would also succeed.
        assert!(child.status.success() && stdout.contains("1 passed"), "{stdout}");
    }
    Ok(())
}
