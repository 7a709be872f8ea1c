//! The functions that the library exports, under NVML's names and with NVML's arguments.
//!
//! Each does its work inside [`answer`], so that no panic crosses into C.

#![expect(unsafe_code, reason = "an exported name is a promise about the whole program")]

use crate::board::{Board, SLICES_OF_A_BOARD};
use crate::layout::{
    Attributes, FieldValue, Handle, Memory, MemoryV2, PciInfo, Pointer, ProcessInfo, Text, Utilization,
};
use crate::machine::Machine;
use crate::machine::{init, machine, shutdown};
use crate::pci::PciAddress;
use crate::status::{Status, describe};
use std::ffi::{c_char, c_int, c_uint, c_ulonglong};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_uint {
    answer(init)
}

/// The flags say what to do without boards or when they cannot be attached; a script has neither case.
#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_uint {
    answer(init)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_uint {
    answer(shutdown)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(code: c_uint) -> *const c_char {
    describe(code).as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: Pointer<c_char>, length: c_uint) -> c_uint {
    answer(|| version.put_text(length, &machine()?.script.driver))
}

/// The generation of CUDA, then the version of the driver, as in `13.580.90`.
#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(version: Pointer<c_char>, length: c_uint) -> c_uint {
    answer(|| version.put_text(length, &format!("{}.{}", CUDA_VERSION / 1000, machine()?.script.driver)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion(version: Pointer<c_int>) -> c_uint {
    answer(|| machine().and_then(|_| version.put(CUDA_VERSION)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: Pointer<c_int>) -> c_uint {
    nvmlSystemGetCudaDriverVersion(version)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: Pointer<c_uint>) -> c_uint {
    answer(|| count.put(number(machine()?.script.boards.len())?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: Pointer<Handle>) -> c_uint {
    answer(|| device.put(machine()?.find(|position, _| position == index as usize, Status::InvalidArgument)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: Text, device: Pointer<Handle>) -> c_uint {
    answer(|| {
        let uuid = uuid.get()?;
        device.put(machine()?.find(|_, board| board.uuid == uuid, Status::NotFound)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(address: Text, device: Pointer<Handle>) -> c_uint {
    answer(|| {
        let address = PciAddress::parse(&address.get()?).ok_or(Status::InvalidArgument)?;
        device.put(
            machine()?.find(|_, board| PciAddress::parse(&board.pci) == Some(address), Status::NotFound)?,
        )
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetIndex(device: Handle, index: Pointer<c_uint>) -> c_uint {
    query(device, |_, _, _| index.put(number(device.index()?)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(device: Handle, uuid: Pointer<c_char>, length: c_uint) -> c_uint {
    match device.slice() {
        Some(_) => answer(|| uuid.put_text(length, &machine()?.slice(device)?.1.uuid)),
        None => query(device, |_, board, _| uuid.put_text(length, &board.uuid)),
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(device: Handle, name: Pointer<c_char>, length: c_uint) -> c_uint {
    query(device, |_, board, _| name.put_text(length, &board.name))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: Handle, info: Pointer<PciInfo>) -> c_uint {
    query(device, |_, board, _| info.put(PciInfo::of(supported(PciAddress::parse(&board.pci))?)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(device: Handle, milliwatts: Pointer<c_uint>) -> c_uint {
    query(device, |_, board, now| milliwatts.put(number(supported(board.power_usage(now))?)?))
}

/// Takes as long as the script says.
fn counter(board: &Board, now: Duration) -> Option<u64> {
    thread::sleep(board.slow_counter);
    board.total_energy(now)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    device: Handle,
    millijoules: Pointer<c_ulonglong>,
) -> c_uint {
    query(device, |_, board, now| millijoules.put(supported(counter(board, now))?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: Handle, milliwatts: Pointer<c_uint>) -> c_uint {
    query(device, |_, board, _| milliwatts.put(number(supported(board.limit)?)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimit(device: Handle, milliwatts: Pointer<c_uint>) -> c_uint {
    nvmlDeviceGetEnforcedPowerLimit(device, milliwatts)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(
    device: Handle,
    current: Pointer<c_uint>,
    pending: Pointer<c_uint>,
) -> c_uint {
    query(device, |_, board, _| {
        let mode = c_uint::from(supported(board.mig)?);
        current.put(mode)?;
        pending.put(mode)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: Handle, count: Pointer<c_uint>) -> c_uint {
    query(device, |_, board, _| count.put(board.mig.map_or(0, |_| SLICES_OF_A_BOARD)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: Handle,
    index: c_uint,
    slice: Pointer<Handle>,
) -> c_uint {
    query(device, |_, board, _| {
        let index = index as usize;
        board.slices.get(index).ok_or(Status::NotFound)?;
        slice.put(Handle::of_slice(device.index()?, index))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice: Handle, device: Pointer<Handle>) -> c_uint {
    answer(|| machine()?.slice(slice).and_then(|_| device.put(Handle::of(slice.board()?))))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceIsMigDeviceHandle(device: Handle, is_slice: Pointer<c_uint>) -> c_uint {
    answer(|| is_slice.put(c_uint::from(device.slice().is_some())))
}

/// Of slices only, as in NVML.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetAttributes_v2(device: Handle, attributes: Pointer<Attributes>) -> c_uint {
    answer(|| {
        let machine = machine()?;
        device.slice().ok_or(Status::NotSupported)?;
        let (_, slice) = machine.slice(device)?;
        attributes.put(Attributes {
            multiprocessors: slice.parts * MULTIPROCESSORS_OF_A_SLICE,
            gpu_instance_slices: slice.parts,
            compute_instance_slices: slice.parts,
            memory_mib: (MEMORY_OF_A_BOARD >> 20) / 8 * c_ulonglong::from(slice.parts),
            ..Attributes::default()
        })
    })
}

/// Here, unlike in the second version, what is reserved counts as used.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(device: Handle, memory: Pointer<Memory>) -> c_uint {
    query(device, |_, board, _| {
        let MemoryV2 { total, reserved, free, used, .. } = supported(memory_of(board))?;
        memory.put(Memory { total, free, used: used + reserved })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: Handle, memory: Pointer<MemoryV2>) -> c_uint {
    query(device, |_, board, _| {
        memory.check_version()?;
        memory.put(supported(memory_of(board))?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(device: Handle, rates: Pointer<Utilization>) -> c_uint {
    query(device, |_, board, now| {
        let gpu = supported(board.utilization(now))?;
        rates.put(Utilization { gpu, memory: gpu })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(device: Handle, count: c_int, values: Pointer<FieldValue>) -> c_uint {
    query(device, |machine, board, now| {
        let timestamp = machine.clock.timestamp(now);
        values.answer_each(count, |field, scope| field_of(board, now, timestamp, field, scope))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: Handle,
    count: Pointer<c_uint>,
    processes: Pointer<ProcessInfo>,
) -> c_uint {
    answer(|| {
        let machine = machine()?;
        let (board, ids) = match device.slice() {
            Some(_) => machine.slice(device).map(|(board, slice)| (board, &slice.processes))?,
            None => machine.board(device).map(|(board, _)| (board, &board.processes))?,
        };
        let used_memory = if board.no_memory { NOT_AVAILABLE } else { MEMORY_OF_A_PROCESS };
        let info =
            |pid| ProcessInfo { pid, used_memory, gpu_instance: c_uint::MAX, compute_instance: c_uint::MAX };
        count.put_list(processes, &ids.iter().copied().map(info).collect::<Vec<_>>())
    })
}

/// As on an H100.
const MULTIPROCESSORS_OF_A_SLICE: c_uint = 16;

/// CUDA 13.0 in NVML's form: 1000 × major + 10 × minor.
const CUDA_VERSION: c_int = 13_000;

/// `NVML_VALUE_NOT_AVAILABLE`, which is -1 in every width.
const NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;

/// The memory of every board, so much of it for the driver, and so much for each process: constants, in bytes.
const MEMORY_OF_A_BOARD: c_ulonglong = 80 << 30;
const MEMORY_OF_THE_DRIVER: c_ulonglong = 1 << 29;
const MEMORY_OF_A_PROCESS: c_ulonglong = 1 << 30;

fn memory_of(board: &Board) -> Option<MemoryV2> {
    let (total, reserved) = (MEMORY_OF_A_BOARD, MEMORY_OF_THE_DRIVER);
    let used = board.processes.len() as c_ulonglong * MEMORY_OF_A_PROCESS;
    let free = total.saturating_sub(reserved).saturating_sub(used);
    (!board.no_memory).then_some(MemoryV2 { version: MemoryV2::VERSION, total, reserved, free, used })
}

/// One field's value, or why there is none: the scope other than the board as a whole is not offered.
fn field_of(board: &Board, now: Duration, timestamp: i64, field: c_uint, scope: c_uint) -> FieldValue {
    /// `NVML_VALUE_TYPE_UNSIGNED_INT` and `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`.
    const UNSIGNED_INT: c_uint = 1;
    const UNSIGNED_LONG_LONG: c_uint = 3;
    let (value_type, value) = match (field, scope) {
        // NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT.
        (83, 0) => (UNSIGNED_LONG_LONG, counter(board, now)),
        (185, 0) => (UNSIGNED_INT, board.average_field(now)),
        (186, 0) => (UNSIGNED_INT, board.instant_field(now)),
        _ => (UNSIGNED_INT, None),
    };
    let status = if value.is_some() { Status::Success } else { Status::NotSupported };
    FieldValue {
        field,
        scope,
        timestamp,
        latency: 0,
        value_type,
        status: status.code(),
        value: value.unwrap_or(0),
    }
}

/// Asks a board at the present time, unless it is lost.
pub(crate) fn query(
    device: Handle,
    ask: impl FnOnce(&Machine, &Board, Duration) -> Result<(), Status>,
) -> c_uint {
    answer(|| {
        let machine = machine()?;
        let (board, now) = machine.board(device)?;
        ask(&machine, board, now)
    })
}

pub(crate) fn answer(work: impl FnOnce() -> Result<(), Status>) -> c_uint {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => Status::Success.code(),
        Ok(Err(status)) => status.code(),
        Err(_) => Status::Unknown.code(),
    }
}

pub(crate) fn supported<T>(value: Option<T>) -> Result<T, Status> {
    value.ok_or(Status::NotSupported)
}

/// A number of NVML's width; what does not fit is an error and not another number.
pub(crate) fn number(value: impl TryInto<c_uint>) -> Result<c_uint, Status> {
    value.try_into().map_err(|_| Status::Unknown)
}
