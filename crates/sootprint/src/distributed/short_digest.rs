//! Digests for identifiers that must not be readable.

use sha2::{Digest as _, Sha256};
use sootprint_core::format::hex;

/// The first half of a SHA-256 in hexadecimal: enough to distinguish inputs, which cannot be recovered from it.
pub(super) fn short_digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..16])
}
