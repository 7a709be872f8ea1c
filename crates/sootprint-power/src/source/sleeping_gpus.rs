//! Detects NVIDIA GPUs that the kernel has suspended. Loading NVML would wake them.

use std::path::Path;

use super::sysfs::read_line;

/// PCI vendor id of NVIDIA.
const NVIDIA: &str = "0x10de";

/// PCI classes of display controllers: VGA and 3D.
const GPU_CLASSES: [&str; 2] = ["0x0300", "0x0302"];

/// Whether this machine has NVIDIA GPUs and all of them are suspended. The check does not wake them.
pub(super) fn are_all_asleep(sys: &Path) -> bool {
    let devices = std::fs::read_dir(sys.join("bus/pci/devices")).into_iter().flatten().flatten();
    let mut gpus = devices.map(|entry| entry.path()).filter(|device| is_nvidia_gpu(device)).peekable();
    gpus.peek().is_some()
        && gpus.all(|gpu| read_line(&gpu.join("power/runtime_status")).is_ok_and(|it| it == "suspended"))
}

fn is_nvidia_gpu(device: &Path) -> bool {
    let is_gpu = |class: String| GPU_CLASSES.iter().any(|gpu| class.starts_with(gpu));
    read_line(&device.join("vendor")).is_ok_and(|vendor| vendor == NVIDIA)
        && read_line(&device.join("class")).is_ok_and(is_gpu)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sysfs::fixture::SysfsFixture;

    #[test]
    fn only_suspended_gpus_are_asleep() {
        let tree = SysfsFixture::new();
        let add = |address: &str, vendor, class, status| {
            let device = format!("bus/pci/devices/{address}");
            tree.write_files(&device, &[("vendor", vendor), ("class", class)]);
            tree.write_files(&format!("{device}/power"), &[("runtime_status", status)]);
        };
        assert!(!are_all_asleep(&tree.path("")), "no devices");
        add("0000:00:02.0", "0x8086", "0x030000", "suspended");
        add("0000:01:00.1", "0x10de", "0x040300", "suspended");
        assert!(!are_all_asleep(&tree.path("")), "no NVIDIA GPU");
        add("0000:01:00.0", "0x10de", "0x030200", "suspended");
        assert!(are_all_asleep(&tree.path("")));
        add("0000:02:00.0", "0x10de", "0x030000", "active");
        assert!(!are_all_asleep(&tree.path("")));
    }
}
