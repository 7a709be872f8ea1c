//! Searches what is sent for the token in use and for private keys.

use memchr::memmem::Finder;

use crate::token::HubToken;

/// The end of the first line of a private key in the formats of PEM and PGP, without what differs.
const KEY_MARKER: &[u8] = b"PRIVATE KEY";
const KEY_START: &[u8] = b"-----BEGIN ";
const KEY_ENDS: [&[u8]; 2] = [b"-----", b" BLOCK-----"];

/// The longest line before the marker, `-----BEGIN ENCRYPTED `, and as much of the key after it as is examined.
const BEFORE_MARKER: usize = 40;
const AFTER_MARKER: usize = 240;

/// The most characters between the first line and the key: indentation, quotes, escaped line breaks, headers.
const MAX_SEPARATION: usize = 180;

/// The shortest run of key characters that is taken for a key rather than for a word of a text.
const MIN_KEY_CHARACTERS: usize = 32;

/// A secret that must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    Token,
    PrivateKey,
}

/// Searches a stream of chunks.
pub(crate) struct SecretScanner {
    token: Finder<'static>,
    key: Finder<'static>,
    /// The end of the previous chunk, which may contain the beginning of a secret, followed by the current chunk's start.
    tail: Vec<u8>,
    found: Option<Secret>,
}

impl SecretScanner {
    pub(crate) fn new(token: &HubToken) -> Self {
        Self {
            token: Finder::new(token.expose().as_bytes()).into_owned(),
            key: Finder::new(KEY_MARKER),
            tail: Vec::new(),
            found: None,
        }
    }

    /// Searches one text.
    pub(crate) fn find(token: &HubToken, text: &[u8]) -> Option<Secret> {
        let mut scanner = Self::new(token);
        scanner.scan(text);
        scanner.finish()
    }

    pub(crate) fn scan(&mut self, chunk: &[u8]) {
        let overlap = self.token.needle().len().max(BEFORE_MARKER + KEY_MARKER.len() + AFTER_MARKER + 16);
        self.tail.extend_from_slice(&chunk[..chunk.len().min(overlap)]);
        let across = std::mem::take(&mut self.tail);
        self.search(&across);
        self.search(chunk);
        self.tail = match chunk.len() >= overlap {
            true => chunk[chunk.len() - overlap..].to_vec(),
            false => across[across.len().saturating_sub(overlap)..].to_vec(),
        };
    }

    pub(crate) fn finish(self) -> Option<Secret> {
        self.found
    }

    fn search(&mut self, bytes: &[u8]) {
        if self.token.find(bytes).is_some() {
            self.found = Some(Secret::Token);
        }
        if self.found.is_none() && self.key.find_iter(bytes).any(|at| is_private_key(bytes, at)) {
            self.found = Some(Secret::PrivateKey);
        }
    }
}

/// Whether the marker at this offset belongs to a key: a first line in full, followed by key material.
///
/// Keys are found in the encodings of other files, too: indented, in quotes, with escaped line breaks, in comments.
fn is_private_key(bytes: &[u8], marker: usize) -> bool {
    let before = &bytes[marker.saturating_sub(BEFORE_MARKER)..marker];
    let Some(start) = Finder::new(KEY_START).find_iter(before).last() else { return false };
    let is_kind = before[start + KEY_START.len()..].iter().all(|it| it.is_ascii_uppercase() || *it == b' ');
    let after = &bytes[marker + KEY_MARKER.len()..];
    let Some(after) = KEY_ENDS.iter().find_map(|end| after.strip_prefix(*end)) else { return false };
    let after = &after[..after.len().min(AFTER_MARKER)];
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let mut runs = after.split(|byte| !is_base64(byte)).scan(0, |at, run| {
        let start = *at;
        *at += run.len() + 1;
        Some((start, run.len()))
    });
    is_kind && runs.any(|(start, length)| start <= MAX_SEPARATION && length >= MIN_KEY_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bqZ0m1sSm3rKx0L2uYwJrJp9uQ4m1bY\n";

    fn token() -> HubToken {
        HubToken::new("hf_secret").unwrap()
    }

    #[test]
    fn secret_is_found_across_any_boundary() {
        for (secret, expected) in [("hf_secret", Secret::Token), (KEY, Secret::PrivateKey)] {
            let text = format!("{:300}{secret}{:300}", "", "");
            for cut in 0..text.len() {
                let mut scanner = SecretScanner::new(&token());
                scanner.scan(&text.as_bytes()[..cut]);
                scanner.scan(&text.as_bytes()[cut..]);
                assert_eq!(scanner.finish(), Some(expected), "{cut}");
            }
            let mut scanner = SecretScanner::new(&token());
            text.as_bytes().chunks(7).for_each(|chunk| scanner.scan(chunk));
            assert_eq!(scanner.finish(), Some(expected));
        }
    }

    #[test]
    fn text_about_keys_is_no_key() {
        for text in [
            "hf_secre",
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "Lines between `-----BEGIN PRIVATE KEY-----` and the end are removed from prompts before training starts.",
            "-----BEGIN PUBLIC KEY-----\nMIIEowIBAAKCAQEA7bqZ0m1sSm3rKx0L2uYwJrJp9uQ4m1bYMIIEowIBAAKC\n",
        ] {
            assert_eq!(SecretScanner::find(&token(), text.as_bytes()), None, "{text}");
        }
        let quoted: String = KEY.lines().map(|line| format!("    \"{line}\\n\"\n")).collect();
        let commented: String = KEY.lines().map(|line| format!("# {line}\n")).collect();
        let notebook: String = KEY.lines().map(|line| format!("   \"{line}\\n\",\n")).collect();
        for key in [
            quoted,
            commented,
            notebook,
            KEY.replace('\n', "\n  "),
            KEY.replace('\n', "\n\t"),
            KEY.replace('\n', "\r\n"),
            KEY.replace('\n', "\\\\n"),
            KEY.replace('\n', "\\r\\n"),
            KEY.replace('\n', " "),
            KEY.replace("-----\n", "----- \n"),
            KEY.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
            KEY.replace("RSA PRIVATE KEY-----", "PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n"),
            KEY.replace(
                "-----\n",
                "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n",
            ),
        ] {
            assert_eq!(SecretScanner::find(&token(), key.as_bytes()), Some(Secret::PrivateKey), "{key}");
        }
        for key in [KEY.replace('\n', "\\n"), KEY.replace("RSA ", ""), KEY.replace("RSA", "OPENSSH")] {
            assert_eq!(SecretScanner::find(&token(), key.as_bytes()), Some(Secret::PrivateKey), "{key}");
        }
    }
}
