use std::ffi::{CStr, c_uint};

/// The values of `nvmlReturn_t` that this library returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum NvmlStatus {
    Success = 0,
    Uninitialized = 1,
    InvalidArgument = 2,
    NotSupported = 3,
    NotFound = 6,
    InsufficientSize = 7,
    GpuIsLost = 15,
    VersionMismatch = 25,
    Unknown = 999,
}

impl NvmlStatus {
    pub(crate) fn code(self) -> c_uint {
        self as c_uint
    }
}

/// The message for a status.
pub(crate) fn status_message(code: c_uint) -> &'static CStr {
    let known = [
        (NvmlStatus::Success, c"The call succeeded"),
        (NvmlStatus::Uninitialized, c"The library was not initialised"),
        (NvmlStatus::InvalidArgument, c"An argument is not valid"),
        (NvmlStatus::NotSupported, c"The GPU does not support this"),
        (NvmlStatus::NotFound, c"Nothing matches the query"),
        (NvmlStatus::InsufficientSize, c"The buffer is too small"),
        (NvmlStatus::GpuIsLost, c"The GPU is lost"),
        (NvmlStatus::VersionMismatch, c"The version of the struct is not known"),
    ];
    let found = known.iter().find(|(status, _)| status.code() == code);
    found.map_or(c"Unknown error", |(_, text)| text)
}
