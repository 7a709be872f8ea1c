//! The types of NVML's C interface, as `nvml.h` lays them out.

#![expect(
    unsafe_code,
    reason = "reads and writes through the pointers that the caller of a C function gives"
)]

use crate::pci::PciAddress;
use crate::status::Status;
use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulonglong};

/// `nvmlDevice_t`, a pointer that only NVML looks into: here the board's index plus one, so that null is no board; of a
/// slice of a board its own index plus one is in the bits above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Handle(usize);

impl Handle {
    pub(crate) fn of(index: usize) -> Self {
        Self(index + 1)
    }

    pub(crate) fn of_slice(board: usize, slice: usize) -> Self {
        Self((slice + 1) << SLICE_BITS | (board + 1))
    }

    /// The index of a board; a slice has none.
    pub(crate) fn index(self) -> Result<usize, Status> {
        match self.slice() {
            None => self.board(),
            Some(_) => Err(Status::InvalidArgument),
        }
    }

    /// The index of the board, also of a slice of it.
    pub(crate) fn board(self) -> Result<usize, Status> {
        (self.0 & ((1 << SLICE_BITS) - 1)).checked_sub(1).ok_or(Status::InvalidArgument)
    }

    /// The index of the slice among those of its board, if it is one.
    pub(crate) fn slice(self) -> Option<usize> {
        (self.0 >> SLICE_BITS).checked_sub(1)
    }
}

/// More boards than this can count are in no machine.
const SLICE_BITS: u32 = 16;

/// A pointer from the caller to something that this library may read and write.
///
/// Only C code makes one, as the argument of an exported function. NVML's contract is what makes its use sound: it is null, or
/// it points to as many values as the function's other arguments say.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Pointer<T>(*mut T);

impl<T: Copy> Pointer<T> {
    pub(crate) fn put(self, value: T) -> Result<(), Status> {
        let target = self.checked()?;
        // SAFETY: not null, and by the contract valid for one value.
        unsafe { target.write_unaligned(value) };
        Ok(())
    }

    fn put_all(self, values: &[T]) -> Result<(), Status> {
        let target = self.checked()?;
        // SAFETY: not null, and the callers have compared the length with the room that the contract promises.
        unsafe { target.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        Ok(())
    }

    fn checked(self) -> Result<*mut T, Status> {
        if self.0.is_null() { Err(Status::InvalidArgument) } else { Ok(self.0) }
    }
}

impl Pointer<c_uint> {
    /// The number that the caller has put here: the room of a list, or a struct's version as its first member.
    fn get(self) -> Result<c_uint, Status> {
        let source = self.checked()?;
        // SAFETY: not null, and by the contract the caller has put a number here.
        Ok(unsafe { source.read_unaligned() })
    }

    /// NVML's protocol for lists: `self` is the room and becomes the length; too little room is an answer of its own.
    pub(crate) fn put_list<T: Copy>(self, list: Pointer<T>, values: &[T]) -> Result<(), Status> {
        let room = self.get()? as usize;
        self.put(c_uint::try_from(values.len()).map_err(|_| Status::Unknown)?)?;
        match values.len() {
            0 => Ok(()),
            length if length > room => Err(Status::InsufficientSize),
            _ => list.put_all(values),
        }
    }
}

impl Pointer<c_char> {
    /// Writes text and a final zero into a buffer of `room` bytes.
    pub(crate) fn put_text(self, room: c_uint, text: &str) -> Result<(), Status> {
        let bytes: Vec<c_char> = text.bytes().chain([0]).map(|byte| byte as c_char).collect();
        self.checked()?;
        if bytes.len() > room as usize { Err(Status::InsufficientSize) } else { self.put_all(&bytes) }
    }
}

/// A text that the caller gives.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    pub(crate) fn get(self) -> Result<String, Status> {
        if self.0.is_null() {
            return Err(Status::InvalidArgument);
        }
        // SAFETY: not null, and by the contract a text that ends with a zero.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| Status::InvalidArgument)
    }
}

/// `nvmlPciInfo_t`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct PciInfo {
    bus_id_legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    pci_device_id: c_uint,
    pci_sub_system_id: c_uint,
    bus_id: [c_char; 32],
}

impl PciInfo {
    pub(crate) fn of(address: PciAddress) -> Self {
        /// NVIDIA's number as a vendor; the model's half, the upper one, is left open.
        const VENDOR: c_uint = 0x10de;
        Self {
            bus_id_legacy: characters(&address.legacy_form()),
            domain: address.domain,
            bus: address.bus,
            device: address.device,
            pci_device_id: VENDOR,
            pci_sub_system_id: VENDOR,
            bus_id: characters(&address.long_form()),
        }
    }
}

/// The text, cut where the last zero has to stand.
fn characters<const ROOM: usize>(text: &str) -> [c_char; ROOM] {
    let mut characters = [0; ROOM];
    for (character, byte) in characters.iter_mut().take(ROOM - 1).zip(text.bytes()) {
        *character = byte as c_char;
    }
    characters
}

/// `nvmlMemory_t`, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Memory {
    pub(crate) total: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

/// `nvmlMemory_v2_t`, in bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct MemoryV2 {
    pub(crate) version: c_uint,
    pub(crate) total: c_ulonglong,
    pub(crate) reserved: c_ulonglong,
    pub(crate) free: c_ulonglong,
    pub(crate) used: c_ulonglong,
}

impl MemoryV2 {
    /// `NVML_STRUCT_VERSION(Memory, 2)`: the size, and the version in the highest byte.
    pub(crate) const VERSION: c_uint = size_of::<Self>() as c_uint | 2 << 24;
}

impl Pointer<MemoryV2> {
    /// Whether the caller has announced the version that is written.
    pub(crate) fn check_version(self) -> Result<(), Status> {
        let version = Pointer(self.0.cast::<c_uint>()).get()?;
        if version == MemoryV2::VERSION { Ok(()) } else { Err(Status::VersionMismatch) }
    }
}

/// `nvmlUtilization_t`, in per cent.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Utilization {
    pub(crate) gpu: c_uint,
    pub(crate) memory: c_uint,
}

/// `nvmlProcessInfo_t` of the functions that end in `_v2` and `_v3`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct ProcessInfo {
    pub(crate) pid: c_uint,
    pub(crate) used_memory: c_ulonglong,
    pub(crate) gpu_instance: c_uint,
    pub(crate) compute_instance: c_uint,
}

/// `nvmlDeviceAttributes_t`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Attributes {
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
pub(crate) struct FieldValue {
    pub(crate) field: c_uint,
    pub(crate) scope: c_uint,
    pub(crate) timestamp: c_longlong,
    pub(crate) latency: c_longlong,
    pub(crate) value_type: c_uint,
    pub(crate) status: c_uint,
    /// A union in C. A 32-bit member is the lower half, since NVML exists for little-endian machines only.
    pub(crate) value: u64,
}

impl Pointer<FieldValue> {
    /// Replaces each of `count` questions, of which the caller has filled in field and scope, by its answer.
    pub(crate) fn answer_each(
        self,
        count: c_int,
        answer: impl Fn(c_uint, c_uint) -> FieldValue,
    ) -> Result<(), Status> {
        let questions = self.checked()?;
        for position in 0..usize::try_from(count).map_err(|_| Status::InvalidArgument)? {
            // SAFETY: not null, and by the contract there are `count` values with their first two members set. The others may
            // be uninitialised, hence no reference to the whole.
            unsafe {
                let question = questions.add(position);
                let field = (&raw const (*question).field).read();
                let scope = (&raw const (*question).scope).read();
                question.write(answer(field, scope));
            }
        }
        Ok(())
    }
}

// The sizes that a C compiler gives them on a 64-bit machine.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Handle>() == 8);
    assert!(size_of::<PciInfo>() == 68);
    assert!(size_of::<Memory>() == 24);
    assert!(size_of::<MemoryV2>() == 40);
    assert!(size_of::<Utilization>() == 8);
    assert!(size_of::<ProcessInfo>() == 24);
    assert!(size_of::<FieldValue>() == 40);
    assert!(size_of::<Attributes>() == 40);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_needs_room_for_all_or_gets_its_length_only() {
        for (room, answer, expected) in [(1, Err(Status::InsufficientSize), [0, 0]), (2, Ok(()), [7, 8])] {
            let (mut count, mut list) = (room, [0_u32; 2]);
            let given = Pointer(&raw mut count).put_list(Pointer(list.as_mut_ptr()), &[7, 8]);
            assert_eq!((given, count, list), (answer, 2, expected));
        }
    }

    #[test]
    fn a_text_needs_room_for_its_final_zero() {
        for (room, answer, first) in [(3, Err(Status::InsufficientSize), 1), (4, Ok(()), b'a' as c_char)] {
            let mut buffer = [1; 4];
            assert_eq!(Pointer(buffer.as_mut_ptr()).put_text(room, "abc"), answer);
            assert_eq!(buffer[0], first);
        }
    }

    #[test]
    fn nothing_is_written_through_null() {
        let null = Pointer(std::ptr::null_mut::<c_uint>());
        assert_eq!(null.put(1), Err(Status::InvalidArgument));
        assert_eq!(null.put_list(null, &[1]), Err(Status::InvalidArgument));
        assert_eq!(Text(std::ptr::null()).get(), Err(Status::InvalidArgument));
    }
}
