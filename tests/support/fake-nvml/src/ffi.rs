//! The exported functions, with NVML's names and arguments.
//!
//! Each runs inside [`catch_panic`], so no panic crosses into C.

#![expect(unsafe_code, reason = "an exported name is a promise about the whole program")]

use crate::driver::FakeDriver;
use crate::driver::{driver, init, shutdown};
use crate::gpu::{FakeGpu, MIG_SLICES_PER_GPU};
use crate::layout::{
    CallerPointer, CallerString, DeviceHandle, NvmlDeviceAttributes, NvmlFieldValue, NvmlMemory,
    NvmlMemoryV2, NvmlPciInfo, NvmlProcessInfo, NvmlUtilization,
};
use crate::pci::PciAddress;
use crate::status::{NvmlStatus, status_message};
use std::ffi::{c_char, c_int, c_uint, c_ulonglong};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> c_uint {
    catch_panic(init)
}

/// The flags are for machines without GPUs or with GPUs that cannot be attached; a script has neither.
#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_uint {
    catch_panic(init)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> c_uint {
    catch_panic(shutdown)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(code: c_uint) -> *const c_char {
    status_message(code).as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetDriverVersion(version: CallerPointer<c_char>, length: c_uint) -> c_uint {
    catch_panic(|| version.write_text(length, &driver()?.script.driver_version))
}

/// The CUDA branch and the driver version, such as `13.580.90`.
#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetNVMLVersion(version: CallerPointer<c_char>, length: c_uint) -> c_uint {
    catch_panic(|| {
        version.write_text(length, &format!("{}.{}", CUDA_VERSION / 1000, driver()?.script.driver_version))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion(version: CallerPointer<c_int>) -> c_uint {
    catch_panic(|| driver().and_then(|_| version.write(CUDA_VERSION)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: CallerPointer<c_int>) -> c_uint {
    nvmlSystemGetCudaDriverVersion(version)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(count: CallerPointer<c_uint>) -> c_uint {
    catch_panic(|| {
        let driver = driver()?;
        count.write(match driver.script.device_count {
            Some(claimed) => claimed,
            None => to_c_uint(driver.script.gpus.len())?,
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: CallerPointer<DeviceHandle>) -> c_uint {
    catch_panic(|| {
        device
            .write(driver()?.find_gpu(|position, _| position == index as usize, NvmlStatus::InvalidArgument)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByUUID(uuid: CallerString, device: CallerPointer<DeviceHandle>) -> c_uint {
    catch_panic(|| {
        let uuid = uuid.read()?;
        device.write(driver()?.find_gpu(|_, gpu| gpu.uuid == uuid, NvmlStatus::NotFound)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(
    address: CallerString,
    device: CallerPointer<DeviceHandle>,
) -> c_uint {
    catch_panic(|| {
        let address = PciAddress::parse(&address.read()?).ok_or(NvmlStatus::InvalidArgument)?;
        device.write(
            driver()?.find_gpu(
                |_, gpu| PciAddress::parse(&gpu.pci_address) == Some(address),
                NvmlStatus::NotFound,
            )?,
        )
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetIndex(device: DeviceHandle, index: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, _, _| index.write(to_c_uint(device.gpu_index()?)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUUID(device: DeviceHandle, uuid: CallerPointer<c_char>, length: c_uint) -> c_uint {
    match device.slice_index() {
        Some(_) => catch_panic(|| uuid.write_text(length, &driver()?.mig_slice(device)?.1.uuid)),
        None => query_gpu(device, |_, gpu, _| uuid.write_text(length, &gpu.uuid)),
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetName(device: DeviceHandle, name: CallerPointer<c_char>, length: c_uint) -> c_uint {
    query_gpu(device, |_, gpu, _| name.write_text(length, &gpu.name))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: DeviceHandle, info: CallerPointer<NvmlPciInfo>) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        info.write(NvmlPciInfo::from_address(or_not_supported(PciAddress::parse(&gpu.pci_address))?))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerUsage(device: DeviceHandle, milliwatts: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, gpu, now| milliwatts.write(to_c_uint(or_not_supported(gpu.power_usage(now))?)?))
}

/// Sleeps for the scripted counter delay.
fn read_counter(gpu: &FakeGpu, now: Duration) -> Option<u64> {
    thread::sleep(gpu.counter_delay);
    gpu.total_energy(now)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    device: DeviceHandle,
    millijoules: CallerPointer<c_ulonglong>,
) -> c_uint {
    query_gpu(device, |_, gpu, now| millijoules.write(or_not_supported(read_counter(gpu, now))?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(
    device: DeviceHandle,
    milliwatts: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| milliwatts.write(to_c_uint(or_not_supported(gpu.power_limit)?)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimit(
    device: DeviceHandle,
    milliwatts: CallerPointer<c_uint>,
) -> c_uint {
    nvmlDeviceGetEnforcedPowerLimit(device, milliwatts)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(
    device: DeviceHandle,
    current: CallerPointer<c_uint>,
    pending: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        let mode = c_uint::from(or_not_supported(gpu.mig_mode)?);
        current.write(mode)?;
        pending.write(mode)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: DeviceHandle, count: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, gpu, _| count.write(gpu.mig_mode.map_or(0, |_| MIG_SLICES_PER_GPU)))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: DeviceHandle,
    index: c_uint,
    slice: CallerPointer<DeviceHandle>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        let index = index as usize;
        gpu.mig_slices.get(index).ok_or(NvmlStatus::NotFound)?;
        slice.write(DeviceHandle::from_slice(device.gpu_index()?, index))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(
    slice: DeviceHandle,
    device: CallerPointer<DeviceHandle>,
) -> c_uint {
    catch_panic(|| {
        driver()?.mig_slice(slice).and_then(|_| device.write(DeviceHandle::from_index(slice.parent_index()?)))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceIsMigDeviceHandle(device: DeviceHandle, is_slice: CallerPointer<c_uint>) -> c_uint {
    catch_panic(|| is_slice.write(c_uint::from(device.slice_index().is_some())))
}

/// For slices only, as in NVML.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetAttributes_v2(
    device: DeviceHandle,
    attributes: CallerPointer<NvmlDeviceAttributes>,
) -> c_uint {
    catch_panic(|| {
        let driver = driver()?;
        device.slice_index().ok_or(NvmlStatus::NotSupported)?;
        let (_, slice) = driver.mig_slice(device)?;
        attributes.write(NvmlDeviceAttributes {
            multiprocessors: slice.compute_slices * MULTIPROCESSORS_PER_SLICE,
            gpu_instance_slices: slice.compute_slices,
            compute_instance_slices: slice.compute_slices,
            memory_mib: (GPU_MEMORY >> 20) / 8 * c_ulonglong::from(slice.compute_slices),
            ..NvmlDeviceAttributes::default()
        })
    })
}

/// Unlike in version 2, reserved memory counts as used.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(device: DeviceHandle, memory: CallerPointer<NvmlMemory>) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        let NvmlMemoryV2 { total, reserved, free, used, .. } = or_not_supported(memory_info(gpu))?;
        memory.write(NvmlMemory { total, free, used: used + reserved })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: DeviceHandle,
    memory: CallerPointer<NvmlMemoryV2>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        memory.check_version()?;
        memory.write(or_not_supported(memory_info(gpu))?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetUtilizationRates(
    device: DeviceHandle,
    rates: CallerPointer<NvmlUtilization>,
) -> c_uint {
    query_gpu(device, |_, gpu, now| {
        let gpu = or_not_supported(gpu.utilization(now))?;
        rates.write(NvmlUtilization { gpu, memory: gpu })
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFieldValues(
    device: DeviceHandle,
    count: c_int,
    values: CallerPointer<NvmlFieldValue>,
) -> c_uint {
    query_gpu(device, |driver, gpu, now| {
        let timestamp = driver.clock.unix_micros(now);
        values.fill_fields(count, |field, scope| field_value(gpu, now, timestamp, field, scope))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: DeviceHandle,
    count: CallerPointer<c_uint>,
    processes: CallerPointer<NvmlProcessInfo>,
) -> c_uint {
    catch_panic(|| {
        let driver = driver()?;
        let (gpu, ids) = match device.slice_index() {
            Some(_) => driver.mig_slice(device).map(|(gpu, slice)| (gpu, &slice.processes))?,
            None => driver.gpu(device).map(|(gpu, _)| (gpu, &gpu.processes))?,
        };
        if let Some(claimed) = gpu.faults.process_count {
            count.write(claimed)?;
            return Err(NvmlStatus::InsufficientSize);
        }
        let used_memory = if gpu.lacks_memory_info { VALUE_NOT_AVAILABLE } else { PROCESS_MEMORY };
        let info = |pid| NvmlProcessInfo {
            pid,
            used_memory,
            gpu_instance: c_uint::MAX,
            compute_instance: c_uint::MAX,
        };
        count.write_list(processes, &ids.iter().copied().map(info).collect::<Vec<_>>())
    })
}

/// As on an H100.
const MULTIPROCESSORS_PER_SLICE: c_uint = 16;

/// CUDA 13.0 in NVML's form: 1000 × major + 10 × minor.
const CUDA_VERSION: c_int = 13_000;

/// `NVML_VALUE_NOT_AVAILABLE`, which is -1 in every width.
const VALUE_NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;

/// Memory of every GPU, of the driver, and of each process: constants, in bytes.
const GPU_MEMORY: c_ulonglong = 80 << 30;
const DRIVER_MEMORY: c_ulonglong = 1 << 29;
const PROCESS_MEMORY: c_ulonglong = 1 << 30;

fn memory_info(gpu: &FakeGpu) -> Option<NvmlMemoryV2> {
    let (total, reserved) = (GPU_MEMORY, DRIVER_MEMORY);
    let used = gpu.processes.len() as c_ulonglong * PROCESS_MEMORY;
    let free = total.saturating_sub(reserved).saturating_sub(used);
    (!gpu.lacks_memory_info).then_some(NvmlMemoryV2 {
        version: NvmlMemoryV2::VERSION,
        total,
        reserved,
        free,
        used,
    })
}

/// The value of a field, or the status if it is not supported. Only scope 0, the whole GPU, is supported.
fn field_value(gpu: &FakeGpu, now: Duration, timestamp: i64, field: c_uint, scope: c_uint) -> NvmlFieldValue {
    /// `NVML_VALUE_TYPE_UNSIGNED_INT` and `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`.
    const UNSIGNED_INT: c_uint = 1;
    const UNSIGNED_LONG_LONG: c_uint = 3;
    let (value_type, value) = match (field, scope) {
        // NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT.
        (83, 0) => (UNSIGNED_LONG_LONG, read_counter(gpu, now)),
        (185, 0) => (UNSIGNED_INT, gpu.average_power_field(now)),
        (186, 0) => (UNSIGNED_INT, gpu.instant_power_field(now)),
        _ => (UNSIGNED_INT, None),
    };
    let status = if value.is_some() { NvmlStatus::Success } else { NvmlStatus::NotSupported };
    NvmlFieldValue {
        field,
        scope,
        timestamp,
        latency: 0,
        value_type,
        status: status.code(),
        value: value.unwrap_or(0),
    }
}

/// Reads a GPU at the current time, unless it is lost.
pub(crate) fn query_gpu(
    device: DeviceHandle,
    read: impl FnOnce(&FakeDriver, &FakeGpu, Duration) -> Result<(), NvmlStatus>,
) -> c_uint {
    catch_panic(|| {
        let driver = driver()?;
        let (gpu, now) = driver.gpu(device)?;
        read(&driver, gpu, now)
    })
}

pub(crate) fn catch_panic(work: impl FnOnce() -> Result<(), NvmlStatus>) -> c_uint {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => NvmlStatus::Success.code(),
        Ok(Err(status)) => status.code(),
        Err(_) => NvmlStatus::Unknown.code(),
    }
}

pub(crate) fn or_not_supported<T>(value: Option<T>) -> Result<T, NvmlStatus> {
    value.ok_or(NvmlStatus::NotSupported)
}

/// Converts to NVML's width; returns an error on overflow.
pub(crate) fn to_c_uint(value: impl TryInto<c_uint>) -> Result<c_uint, NvmlStatus> {
    value.try_into().map_err(|_| NvmlStatus::Unknown)
}
