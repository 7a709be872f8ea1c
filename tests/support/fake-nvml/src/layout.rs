//! The types of NVML's C interface, with the layout of `nvml.h`.

#![expect(
    unsafe_code,
    reason = "reads and writes through the pointers that the caller of a C function gives"
)]

use crate::pci::PciAddress;
use crate::status::NvmlStatus;
use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulonglong};

/// `nvmlDevice_t`, an opaque pointer. Here the lower bits are the GPU's index plus one, so null is never a
/// GPU; for a MIG slice, the upper bits are its index plus one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct DeviceHandle(usize);

impl DeviceHandle {
    pub(crate) fn from_index(index: usize) -> Self {
        Self(index + 1)
    }

    pub(crate) fn from_slice(gpu_index: usize, slice: usize) -> Self {
        Self((slice + 1) << SLICE_SHIFT | (gpu_index + 1))
    }

    /// The index of a GPU; an error for a slice.
    pub(crate) fn gpu_index(self) -> Result<usize, NvmlStatus> {
        match self.slice_index() {
            None => self.parent_index(),
            Some(_) => Err(NvmlStatus::InvalidArgument),
        }
    }

    /// The index of the GPU, or of the parent GPU of a slice.
    pub(crate) fn parent_index(self) -> Result<usize, NvmlStatus> {
        (self.0 & ((1 << SLICE_SHIFT) - 1)).checked_sub(1).ok_or(NvmlStatus::InvalidArgument)
    }

    /// The index of a slice within its GPU; `None` for a GPU.
    pub(crate) fn slice_index(self) -> Option<usize> {
        (self.0 >> SLICE_SHIFT).checked_sub(1)
    }
}

/// No machine has more GPUs than fit in this many bits.
const SLICE_SHIFT: u32 = 16;

/// A pointer from the caller that this library may read and write.
///
/// It is only created by C code, as an argument of an exported function. It is sound by NVML's contract: it
/// is null, or points to as many values as given by the function's other arguments.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct CallerPointer<T>(*mut T);

impl<T: Copy> CallerPointer<T> {
    pub(crate) fn write(self, value: T) -> Result<(), NvmlStatus> {
        let target = self.non_null()?;
        // SAFETY: not null, and by the contract valid for one value.
        unsafe { target.write_unaligned(value) };
        Ok(())
    }

    fn write_all(self, values: &[T]) -> Result<(), NvmlStatus> {
        let target = self.non_null()?;
        // SAFETY: not null, and the callers have checked the length against the capacity guaranteed by the
        // contract.
        unsafe { target.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        Ok(())
    }

    fn non_null(self) -> Result<*mut T, NvmlStatus> {
        if self.0.is_null() { Err(NvmlStatus::InvalidArgument) } else { Ok(self.0) }
    }
}

impl CallerPointer<c_uint> {
    /// The number set by the caller: the capacity of a list, or a struct's version as its first member.
    fn read(self) -> Result<c_uint, NvmlStatus> {
        let source = self.non_null()?;
        // SAFETY: not null, and by the contract initialised by the caller.
        Ok(unsafe { source.read_unaligned() })
    }

    /// NVML's protocol for lists: `self` is the capacity and becomes the length; insufficient capacity has
    /// its own status.
    pub(crate) fn write_list<T: Copy>(self, list: CallerPointer<T>, values: &[T]) -> Result<(), NvmlStatus> {
        let capacity = self.read()? as usize;
        self.write(c_uint::try_from(values.len()).map_err(|_| NvmlStatus::Unknown)?)?;
        match values.len() {
            0 => Ok(()),
            length if length > capacity => Err(NvmlStatus::InsufficientSize),
            _ => list.write_all(values),
        }
    }
}

impl CallerPointer<c_char> {
    /// Writes text and a terminating zero into a buffer of `capacity` bytes.
    pub(crate) fn write_text(self, capacity: c_uint, text: &str) -> Result<(), NvmlStatus> {
        let bytes: Vec<c_char> = text.bytes().chain([0]).map(|byte| byte as c_char).collect();
        self.non_null()?;
        if bytes.len() > capacity as usize {
            Err(NvmlStatus::InsufficientSize)
        } else {
            self.write_all(&bytes)
        }
    }
}

/// A C string from the caller.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct CallerString(*const c_char);

impl CallerString {
    pub(crate) fn read(self) -> Result<String, NvmlStatus> {
        if self.0.is_null() {
            return Err(NvmlStatus::InvalidArgument);
        }
        // SAFETY: not null, and by the contract a zero-terminated string.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| NvmlStatus::InvalidArgument)
    }
}

/// `nvmlPciInfo_t`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlPciInfo {
    bus_id_legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    pci_device_id: c_uint,
    pci_sub_system_id: c_uint,
    bus_id: [c_char; 32],
}

impl NvmlPciInfo {
    pub(crate) fn from_address(address: PciAddress) -> Self {
        /// NVIDIA's vendor id; the upper half, the device id, is zero.
        const NVIDIA_VENDOR_ID: c_uint = 0x10de;
        Self {
            bus_id_legacy: char_array(&address.legacy_form()),
            domain: address.domain,
            bus: address.bus,
            device: address.device,
            pci_device_id: NVIDIA_VENDOR_ID,
            pci_sub_system_id: NVIDIA_VENDOR_ID,
            bus_id: char_array(&address.long_form()),
        }
    }
}

/// The text, truncated to leave room for the terminating zero.
fn char_array<const SIZE: usize>(text: &str) -> [c_char; SIZE] {
    let mut characters = [0; SIZE];
    for (character, byte) in characters.iter_mut().take(SIZE - 1).zip(text.bytes()) {
        *character = byte as c_char;
    }
    characters
}

/// `nvmlMemory_t`, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlMemory {
    pub(crate) total: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

/// `nvmlMemory_v2_t`, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlMemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: c_ulonglong,
    pub(crate) reserved: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

impl NvmlMemoryV2 {
    /// `NVML_STRUCT_VERSION(NvmlMemory, 2)`: the size, and the version in the highest byte.
    pub(crate) const VERSION: c_uint = size_of::<Self>() as c_uint | 2 << 24;
}

impl CallerPointer<NvmlMemoryV2> {
    /// Whether the caller has set the version that is written.
    pub(crate) fn check_version(self) -> Result<(), NvmlStatus> {
        let version = CallerPointer(self.0.cast::<c_uint>()).read()?;
        if version == NvmlMemoryV2::VERSION { Ok(()) } else { Err(NvmlStatus::VersionMismatch) }
    }
}

/// `nvmlUtilization_t`, in per cent.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlUtilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

/// `nvmlProcessInfo_t` of the functions that end in `_v2` and `_v3`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlProcessInfo {
    pub(crate) pid: c_uint,
    pub(crate) used_memory: c_ulonglong,
    pub(crate) gpu_instance: c_uint,
    pub(crate) compute_instance: c_uint,
}

/// `nvmlDeviceAttributes_t`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct NvmlDeviceAttributes {
    pub(crate) multiprocessors: c_uint,
    pub(crate) copy_engines: c_uint,
    pub(crate) decoders: c_uint,
    pub(crate) encoders: c_uint,
    pub(crate) jpeg: c_uint,
    pub(crate) optical_flow: c_uint,
    pub(crate) gpu_instance_slices: c_uint,
    pub(crate) compute_instance_slices: c_uint,
    pub(crate) memory_mib: c_ulonglong,
}

/// `nvmlFieldValue_t`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct NvmlFieldValue {
    pub(crate) field: c_uint,
    pub(crate) scope: c_uint,
    pub(crate) timestamp: c_longlong,
    pub(crate) latency: c_longlong,
    pub(crate) value_type: c_uint,
    pub(crate) status: c_uint,
    /// A union in C. A 32-bit member is the lower half, because NVML only exists for little-endian machines.
    pub(crate) value: u64,
}

impl CallerPointer<NvmlFieldValue> {
    /// Fills in `count` field values; the caller has set the field and scope of each.
    pub(crate) fn fill_fields(
        self,
        count: c_int,
        field_value: impl Fn(c_uint, c_uint) -> NvmlFieldValue,
    ) -> Result<(), NvmlStatus> {
        let values = self.non_null()?;
        for position in 0..usize::try_from(count).map_err(|_| NvmlStatus::InvalidArgument)? {
            // SAFETY: not null, and by the contract there are `count` values with their first two members
            // set. The others may be uninitialised, so no reference to the whole value is created.
            unsafe {
                let value = values.add(position);
                let field = (&raw const (*value).field).read();
                let scope = (&raw const (*value).scope).read();
                value.write(field_value(field, scope));
            }
        }
        Ok(())
    }
}

// The sizes on a 64-bit machine, according to a C compiler.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<DeviceHandle>() == 8);
    assert!(size_of::<NvmlPciInfo>() == 68);
    assert!(size_of::<NvmlMemory>() == 24);
    assert!(size_of::<NvmlMemoryV2>() == 40);
    assert!(size_of::<NvmlUtilization>() == 8);
    assert!(size_of::<NvmlProcessInfo>() == 24);
    assert!(size_of::<NvmlFieldValue>() == 40);
    assert!(size_of::<NvmlDeviceAttributes>() == 40);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_list_buffer_returns_length_only() {
        for (capacity, result, expected) in
            [(1, Err(NvmlStatus::InsufficientSize), [0, 0]), (2, Ok(()), [7, 8])]
        {
            let (mut count, mut list) = (capacity, [0_u32; 2]);
            let written = CallerPointer(&raw mut count).write_list(CallerPointer(list.as_mut_ptr()), &[7, 8]);
            assert_eq!((written, count, list), (result, 2, expected));
        }
    }

    #[test]
    fn text_buffer_includes_terminating_zero() {
        for (capacity, result, first) in
            [(3, Err(NvmlStatus::InsufficientSize), 1), (4, Ok(()), b'a' as c_char)]
        {
            let mut buffer = [1; 4];
            assert_eq!(CallerPointer(buffer.as_mut_ptr()).write_text(capacity, "abc"), result);
            assert_eq!(buffer[0], first);
        }
    }

    #[test]
    fn null_pointer_is_rejected() {
        let null = CallerPointer(std::ptr::null_mut::<c_uint>());
        assert_eq!(null.write(1), Err(NvmlStatus::InvalidArgument));
        assert_eq!(null.write_list(null, &[1]), Err(NvmlStatus::InvalidArgument));
        assert_eq!(CallerString(std::ptr::null()).read(), Err(NvmlStatus::InvalidArgument));
    }
}
