//! Functions that sootprint does not call and other tools cannot do without: with them the same boards can be measured by
//! all. What a script says nothing about is a constant.

#![expect(unsafe_code, reason = "an exported name is a promise about the whole program")]

use crate::ffi::{answer, number, query, supported};
use crate::layout::{Handle, Pointer, ProcessInfo};
use crate::machine::machine;
use crate::status::Status;
use std::ffi::{c_int, c_uint};

/// A board with an energy counter is Hopper. One without is Ampere where its power is a mean, as it is from there on; else
/// Pascal, the last generation that had none.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetArchitecture(device: Handle, architecture: Pointer<c_uint>) -> c_uint {
    const PASCAL: c_uint = 4;
    const AMPERE: c_uint = 7;
    const HOPPER: c_uint = 9;
    query(device, |_, board, now| {
        architecture.put(match () {
            () if board.total_energy(now).is_some() => HOPPER,
            () if board.average.is_some() => AMPERE,
            () => PASCAL,
        })
    })
}

/// 9.0, 8.0 or 6.0, as the architecture has it.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: Handle,
    major: Pointer<c_int>,
    minor: Pointer<c_int>,
) -> c_uint {
    query(device, |_, board, now| {
        major.put(match () {
            () if board.total_energy(now).is_some() => 9,
            () if board.average.is_some() => 8,
            () => 6,
        })?;
        minor.put(0)
    })
}

/// The only sensor (0) is the chip's; 40 °C.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(device: Handle, sensor: c_uint, celsius: Pointer<c_uint>) -> c_uint {
    query(device, |_, _, _| if sensor == 0 { celsius.put(40) } else { Err(Status::InvalidArgument) })
}

/// Any number of processes may compute at once: `NVML_COMPUTEMODE_DEFAULT`.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetComputeMode(device: Handle, mode: Pointer<c_uint>) -> c_uint {
    query(device, |_, _, _| mode.put(0))
}

/// The driver stays loaded.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPersistenceMode(device: Handle, mode: Pointer<c_uint>) -> c_uint {
    query(device, |_, _, _| mode.put(1))
}

/// None draws pictures.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: Handle,
    count: Pointer<c_uint>,
    processes: Pointer<ProcessInfo>,
) -> c_uint {
    answer(|| {
        machine()?.board(device)?;
        count.put_list(processes, &[])
    })
}

/// As it was made, which the script's limit is taken for.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(
    device: Handle,
    milliwatts: Pointer<c_uint>,
) -> c_uint {
    query(device, |_, board, _| milliwatts.put(number(supported(board.limit)?)?))
}

/// From nothing to the limit.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: Handle,
    least: Pointer<c_uint>,
    most: Pointer<c_uint>,
) -> c_uint {
    query(device, |_, board, _| {
        least.put(0)?;
        most.put(number(supported(board.limit)?)?)
    })
}
