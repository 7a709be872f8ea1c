//! Functions that sootprint does not call but other tools need, so that all tools can measure the same GPUs.
//! Values that are not in the script are constants.

#![expect(unsafe_code, reason = "an exported name is a promise about the whole program")]

use crate::driver::driver;
use crate::ffi::{catch_panic, or_not_supported, query_gpu, to_c_uint};
use crate::layout::{CallerPointer, DeviceHandle, NvmlProcessInfo};
use crate::status::NvmlStatus;
use std::ffi::{c_int, c_uint};

/// A GPU with an energy counter is Hopper. Without a counter, it is Ampere if its power is a mean, as on
/// Ampere and later, otherwise Pascal, the last generation without a counter.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetArchitecture(device: DeviceHandle, architecture: CallerPointer<c_uint>) -> c_uint {
    const PASCAL: c_uint = 4;
    const AMPERE: c_uint = 7;
    const HOPPER: c_uint = 9;
    query_gpu(device, |_, gpu, now| {
        architecture.write(match () {
            () if gpu.total_energy(now).is_some() => HOPPER,
            () if gpu.averaging_window.is_some() => AMPERE,
            () => PASCAL,
        })
    })
}

/// 9.0, 8.0 or 6.0, depending on the architecture.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: DeviceHandle,
    major: CallerPointer<c_int>,
    minor: CallerPointer<c_int>,
) -> c_uint {
    query_gpu(device, |_, gpu, now| {
        major.write(match () {
            () if gpu.total_energy(now).is_some() => 9,
            () if gpu.averaging_window.is_some() => 8,
            () => 6,
        })?;
        minor.write(0)
    })
}

/// The only sensor (0) is the GPU's; 40 °C.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(
    device: DeviceHandle,
    sensor: c_uint,
    celsius: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(
        device,
        |_, _, _| if sensor == 0 { celsius.write(40) } else { Err(NvmlStatus::InvalidArgument) },
    )
}

/// `NVML_COMPUTEMODE_DEFAULT`: any number of compute processes.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeMode(device: DeviceHandle, mode: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, _, _| mode.write(0))
}

/// Persistence mode is on.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(device: DeviceHandle, mode: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, _, _| mode.write(1))
}

/// There are no graphics processes.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: DeviceHandle,
    count: CallerPointer<c_uint>,
    processes: CallerPointer<NvmlProcessInfo>,
) -> c_uint {
    catch_panic(|| {
        driver()?.gpu(device)?;
        count.write_list(processes, &[])
    })
}

/// The default limit equals the script's limit.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(
    device: DeviceHandle,
    milliwatts: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| milliwatts.write(to_c_uint(or_not_supported(gpu.power_limit)?)?))
}

/// From zero to the limit.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: DeviceHandle,
    min_limit: CallerPointer<c_uint>,
    max_limit: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| {
        min_limit.write(0)?;
        max_limit.write(to_c_uint(or_not_supported(gpu.power_limit)?)?)
    })
}
