//! Boards as `nvml-wrapper` finds and describes them, and libraries side by side.

use crate::machine::{Machine, Outcome, first, ms, open, two_phases};
use nvidia_ml::{Board, SCRIPT_VARIABLE, Script, VirtualClock, install, library_path};
use nvml_wrapper::bitmasks::InitFlags;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{FieldIdScheme, Nvml};
use std::fs;
use std::process::Command;

fn second() -> Board {
    Board::new("GPU-bbbbbbbb-0000-0000-0000-000000000000", "0001:8a:01.0", "NVIDIA H100 PCIe")
}

#[test]
fn two_boards_are_found_by_index_uuid_and_address() -> Outcome {
    let machine = Machine::with([two_phases().limit(700), second().power(ms(0), 50).limit(350)])?;
    let nvml = &machine.nvml;
    assert_eq!(nvml.device_count()?, 2);
    let found = [
        nvml.device_by_index(1)?,
        nvml.device_by_uuid("GPU-bbbbbbbb-0000-0000-0000-000000000000")?,
        nvml.device_by_pci_bus_id("0001:8A:01.0")?,
        nvml.device_by_pci_bus_id("00000001:8a:01.0")?,
    ];
    for board in found {
        assert_eq!(board.index()?, 1);
        assert_eq!(board.uuid()?, "GPU-bbbbbbbb-0000-0000-0000-000000000000");
        assert_eq!(board.name()?, "NVIDIA H100 PCIe");
        assert_eq!(board.power_usage()?, 50_000);
        assert_eq!(board.enforced_power_limit()?, 350_000);
        assert_eq!(board.power_management_limit()?, 350_000);
        let place = board.pci_info()?;
        assert_eq!((place.domain, place.bus, place.device), (1, 0x8a, 1));
        assert_eq!(place.bus_id, "00000001:8A:01.0");
        assert_eq!(place.pci_device_id, 0x10de);
    }
    assert_eq!(nvml.device_by_pci_bus_id("07:00.0")?.index()?, 0);
    Ok(())
}

#[test]
fn what_is_not_there_is_not_found() -> Outcome {
    let machine = Machine::with([first()])?;
    assert!(matches!(machine.nvml.device_by_index(1), Err(NvmlError::InvalidArg)));
    assert!(matches!(machine.nvml.device_by_uuid("GPU-aaaaaaaa"), Err(NvmlError::NotFound)));
    assert!(matches!(machine.nvml.device_by_pci_bus_id("0000:09:00.0"), Err(NvmlError::NotFound)));
    assert!(matches!(machine.nvml.device_by_pci_bus_id("nine"), Err(NvmlError::InvalidArg)));
    Ok(())
}

#[test]
fn a_board_that_is_only_named_supports_nothing_more() -> Outcome {
    let machine = Machine::with([first()])?;
    let board = machine.at(0)?;
    assert!(matches!(board.power_usage(), Err(NvmlError::NotSupported)));
    assert!(matches!(board.enforced_power_limit(), Err(NvmlError::NotSupported)));
    assert!(matches!(board.mig_mode(), Err(NvmlError::NotSupported)));
    assert!(matches!(board.utilization_rates(), Err(NvmlError::NotSupported)));
    assert!(board.running_compute_processes()?.is_empty());
    Ok(())
}

#[test]
fn memory_processes_and_utilization_are_told() -> Outcome {
    let machine =
        Machine::with([two_phases().limit(400).process(11).process(12), second().no_memory().process(13)])?;
    let board = machine.at(700)?;
    let memory = board.memory_info()?;
    assert_eq!(memory.total, memory.reserved + memory.used + memory.free);
    assert_eq!(memory.used, 2 << 30);
    let processes = board.running_compute_processes()?;
    assert_eq!(processes.iter().map(|process| process.pid).collect::<Vec<_>>(), [11, 12]);
    assert!(matches!(processes[0].used_gpu_memory, UsedGpuMemory::Used(1_073_741_824)));
    assert_eq!(processes[0].gpu_instance_id, None);
    assert_eq!(board.utilization_rates()?.gpu, 100);

    let shared = machine.nvml.device_by_index(1)?;
    assert!(matches!(shared.memory_info(), Err(NvmlError::NotSupported)));
    assert!(matches!(shared.running_compute_processes()?[0].used_gpu_memory, UsedGpuMemory::Unavailable));
    Ok(())
}

#[test]
fn a_slice_is_a_device_of_its_own_without_power() -> Outcome {
    let machine = Machine::with([
        two_phases().slice("MIG-aaaa", 3, &[11]).slice("MIG-bbbb", 1, &[]).process(12),
        second().power(ms(0), 50),
    ])?;
    let board = machine.at(0)?;
    assert_eq!(board.mig_device_count()?, 7);
    assert!(!board.mig_is_mig_device_handle()?);
    let slices = [board.mig_device_by_index(0)?, board.mig_device_by_index(1)?];
    assert_eq!([slices[0].uuid()?, slices[1].uuid()?], ["MIG-aaaa", "MIG-bbbb"]);
    let sizes = slices.each_ref().map(|slice| slice.attributes().map(|it| it.compute_instance_slice_count));
    assert!(matches!(sizes, [Ok(3), Ok(1)]), "{sizes:?}");
    let ids = |device: &nvml_wrapper::Device<'_>| -> Result<Vec<u32>, NvmlError> {
        Ok(device.running_compute_processes()?.into_iter().map(|process| process.pid).collect())
    };
    assert_eq!((ids(&slices[0])?, ids(&slices[1])?, ids(&board)?), (vec![11], vec![], vec![12]));
    assert!(slices[0].mig_is_mig_device_handle()?);
    assert_eq!(slices[1].mig_parent_device()?.uuid()?, board.uuid()?);
    assert!(slices[0].total_energy_consumption().is_err() && slices[0].power_usage().is_err());
    assert!(matches!(board.mig_device_by_index(2), Err(NvmlError::NotFound)));
    assert!(matches!(board.attributes(), Err(NvmlError::NotSupported)));
    assert_eq!(machine.nvml.device_by_index(1)?.mig_device_count()?, 0);
    Ok(())
}

#[test]
fn a_mig_mode_is_on_or_off() -> Outcome {
    let machine = Machine::with([first().mig(true), second().mig(false)])?;
    let modes = [0, 1].map(|index| machine.nvml.device_by_index(index).and_then(|board| board.mig_mode()));
    let modes: Vec<_> = modes.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(modes.iter().map(|mode| (mode.current, mode.pending)).collect::<Vec<_>>(), [(1, 1), (0, 0)]);
    Ok(())
}

#[test]
fn two_libraries_of_one_process_follow_two_scripts() -> Outcome {
    let one = Machine::with([two_phases().counter(ms(0))])?;
    let other = Machine::with([second().power(ms(0), 7).counter(ms(0))])?;
    assert_eq!(one.at(1000)?.total_energy_consumption()?, 70_000 + 120_000);
    assert_eq!(other.at(2000)?.total_energy_consumption()?, 14_000);
    one.nvml.shutdown()?;
    assert_eq!(other.at(3000)?.total_energy_consumption()?, 21_000);
    Ok(())
}

#[test]
fn a_library_that_is_replaced_serves_those_who_have_loaded_it() -> Outcome {
    let machine = Machine::with([first()])?;
    let library = install(&machine.script.clone().board(second()), machine.folder.path())?;
    assert_eq!(machine.nvml.device_count()?, 1);
    machine.nvml.shutdown()?;
    assert_eq!(open(&library)?.device_count()?, 2);
    Ok(())
}

#[test]
fn one_library_is_initialised_as_often_as_it_is_shut_down() -> Outcome {
    let machine = Machine::with([first()])?;
    let library = machine.folder.path().join("libnvidia-ml.so.1");
    let again = Nvml::builder().lib_path(library.as_os_str()).flags(InitFlags::NO_ATTACH).init()?;
    again.shutdown()?;
    assert_eq!(machine.nvml.device_count()?, 1);
    Ok(())
}

#[test]
fn the_system_names_its_versions() -> Outcome {
    let folder = tempfile::tempdir()?;
    let nvml = open(&install(&Script::new().driver("535.129.03"), folder.path())?)?;
    assert_eq!(nvml.sys_driver_version()?, "535.129.03");
    assert_eq!(nvml.sys_nvml_version()?, "13.535.129.03");
    assert_eq!(nvml.sys_cuda_driver_version()?, 13_000);
    assert_eq!(nvml.field_id_scheme(), FieldIdScheme::V12);
    assert_eq!(nvml.device_count()?, 0);
    Ok(())
}

#[test]
fn a_script_that_is_refused_leaves_a_note() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (script, note) = (folder.path().join("script.nvml"), folder.path().join("script.nvml.error"));
    let library = install(&Script::new(), folder.path())?;
    let refused = |text: &str| -> Result<String, std::io::Error> {
        fs::write(&script, text)?;
        assert!(matches!(open(&library), Err(NvmlError::Unknown)));
        fs::read_to_string(&note)
    };
    assert!(
        refused("driver 580.90\nbord 0\n")?
            .ends_with("script.nvml: line 2: `0` is not the number of a board above this line\n")
    );
    assert!(refused("clock file nowhere\n")?.contains("nowhere: No such file"));
    fs::remove_file(&script)?;
    assert!(matches!(open(&library), Err(NvmlError::Unknown)));
    assert!(fs::read_to_string(&note)?.contains("script.nvml: No such file"));

    Script::new().write(&script)?;
    assert_eq!(open(&library)?.device_count()?, 0);
    assert!(!note.exists());
    Ok(())
}

#[test]
fn a_clock_that_vanishes_is_an_error_and_not_zero() -> Outcome {
    let machine = Machine::with([two_phases().counter(ms(0))])?;
    let board = machine.at(1000)?;
    fs::remove_file(machine.clock.path())?;
    assert!(matches!(board.total_energy_consumption(), Err(NvmlError::Unknown)));
    VirtualClock::new(machine.clock.path())?.set_millis(1)?;
    assert_eq!(board.total_energy_consumption()?, 100);
    Ok(())
}

#[test]
fn the_variable_wins_over_the_file_beside_the_library() -> Outcome {
    const CHILD: &str = "SCRIPTED_NVML_TEST_LIBRARY";
    // In the child: the variables were set by the parent below.
    if let Some(library) = std::env::var_os(CHILD) {
        assert_eq!(open(library.as_ref())?.device_count()?, 2);
        return Ok(());
    }
    let machine = Machine::with([first()])?;
    let elsewhere = tempfile::tempdir()?;
    let script = elsewhere.path().join("two boards");
    Script::new().board(first()).board(second()).write(&script)?;
    for library in [machine.folder.path().join("libnvidia-ml.so.1"), library_path()?] {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", "boards::the_variable_wins_over_the_file_beside_the_library"])
            .env(CHILD, library)
            .env(SCRIPT_VARIABLE, &script)
            .output()?;
        let said = String::from_utf8_lossy(&child.stdout);
        // A filter that matches no test would be a success, too.
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    }
    Ok(())
}
