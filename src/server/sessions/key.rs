//! Names and keys that nobody can guess.

use crate::error::{Error, Kind, Result};

/// 128 random bits, in hexadecimal digits.
///
/// # Errors
/// `Internal` where the system gives none.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no random numbers").because(cause))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether two keys are the same, in a time that does not tell where they differ.
pub(super) fn is_same(known: &str, given: &str) -> bool {
    let differ = known.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    !known.is_empty() && known.len() == given.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_whole() {
        assert!(is_same("abc", "abc"));
        for (known, given) in [("abc", "abd"), ("abc", "ab"), ("", ""), ("abc", "")] {
            assert!(!is_same(known, given), "{known:?} {given:?}");
        }
        let (one, other) = (random().expect("bits"), random().expect("bits"));
        assert!(one.len() == 32 && one != other);
    }
}
