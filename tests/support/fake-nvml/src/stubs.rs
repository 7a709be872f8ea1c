//! Functions that sootprint does not call and other tools cannot do without: with them the same boards can be measured by
//! all. What a script says nothing about is a constant.

#![expect(unsafe_code, reason = "an exported name is a promise about the whole program")]

use crate::driver::driver;
use crate::ffi::{catch_panic, or_not_supported, query_gpu, to_c_uint};
use crate::layout::{CallerPointer, DeviceHandle, NvmlProcessInfo};
use crate::status::NvmlStatus;
use std::ffi::{c_int, c_uint};

/// A board with an energy counter is Hopper. One without is Ampere where its power is a mean, as it is from there on; else
/// Pascal, the last generation that had none.
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

/// 9.0, 8.0 or 6.0, as the architecture has it.
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

/// The only sensor (0) is the chip's; 40 °C.
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

/// Any number of processes may compute at once: `NVML_COMPUTEMODE_DEFAULT`.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeMode(device: DeviceHandle, mode: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, _, _| mode.write(0))
}

/// The driver stays loaded.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(device: DeviceHandle, mode: CallerPointer<c_uint>) -> c_uint {
    query_gpu(device, |_, _, _| mode.write(1))
}

/// None draws pictures.
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

/// As it was made, which the script's limit is taken for.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(
    device: DeviceHandle,
    milliwatts: CallerPointer<c_uint>,
) -> c_uint {
    query_gpu(device, |_, gpu, _| milliwatts.write(to_c_uint(or_not_supported(gpu.power_limit)?)?))
}

/// From nothing to the limit.
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
