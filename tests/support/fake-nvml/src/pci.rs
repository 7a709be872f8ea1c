/// The address of a GPU on the PCI bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PciAddress {
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) device: u32,
    pub(crate) function: u32,
}

impl PciAddress {
    /// Parses `0000:07:00.0`, NVML's own `00000000:07:00.0`, or `07:00.0` in domain 0.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (prefix, function) = text.split_once('.')?;
        let (place, device) = prefix.rsplit_once(':')?;
        let (domain, bus) = place.rsplit_once(':').unwrap_or(("0", place));
        Some(Self {
            domain: parse_hex(domain, u32::MAX)?,
            bus: parse_hex(bus, 0xff)?,
            device: parse_hex(device, 0x1f)?,
            function: parse_hex(function, 0x7)?,
        })
    }

    /// NVML's current format, with an eight-digit domain.
    pub(crate) fn long_form(self) -> String {
        format!("{:08X}:{:02X}:{:02X}.{:X}", self.domain, self.bus, self.device, self.function)
    }

    /// NVML's legacy format, with a four-digit domain.
    pub(crate) fn legacy_form(self) -> String {
        format!("{:04X}:{:02X}:{:02X}.{:X}", self.domain, self.bus, self.device, self.function)
    }
}

fn parse_hex(digits: &str, largest: u32) -> Option<u32> {
    // `from_str_radix` alone would accept a sign.
    let value =
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?;
    value.filter(|value| *value <= largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_address_forms_parse_alike() {
        let address = PciAddress { domain: 0, bus: 0x8a, device: 1, function: 0 };
        for text in ["0000:8a:01.0", "00000000:8A:01.0", "8a:01.0"] {
            assert_eq!(PciAddress::parse(text), Some(address), "{text}");
        }
        assert_eq!(address.long_form(), "00000000:8A:01.0");
        assert_eq!(address.legacy_form(), "0000:8A:01.0");
    }

    #[test]
    fn invalid_pci_address_is_rejected() {
        for text in [
            "",
            "07",
            "07:00",
            "0000:07:00",
            "0000:100:00.0",
            "0000:07:20.0",
            "0000:07:00.8",
            "0000:+7:00.0",
            "x:07:00.0",
        ] {
            assert_eq!(PciAddress::parse(text), None, "{text}");
        }
    }
}
