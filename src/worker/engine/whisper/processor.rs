//! Whether this processor knows the instructions for which whisper.cpp was compiled. One that does not would kill the
//! worker by SIGILL, in the middle of a decode, without a word.

use crate::error::{Error, Kind, Result};

/// The features that the build asked for, by Rust's names of them, joined by commas. See build.rs.
const NEEDED: &str = env!("SPEECHCTL_PROCESSOR_FEATURES");

/// A feature's name, and what tells whether this processor has it.
type Feature = (&'static str, fn() -> bool);

#[cfg(target_arch = "x86_64")]
include!(concat!(env!("CARGO_MANIFEST_DIR"), "/build-support/processor_features.rs"));

/// The features that a build may ask for.
#[cfg(target_arch = "x86_64")]
const KNOWN: &[Feature] = {
    macro_rules! known {
        ($name:tt) => {
            ($name, (|| std::arch::is_x86_feature_detected!($name)) as fn() -> bool)
        };
    }
    &processor_features!(known)
};

/// Builds keep to what every processor of the architecture has.
#[cfg(target_arch = "aarch64")]
const KNOWN: &[Feature] = &[("neon", || std::arch::is_aarch64_feature_detected!("neon"))];

/// Elsewhere builds keep to what every processor of the architecture has.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KNOWN: &[Feature] = &[];

/// What the build asked for.
pub(crate) fn needed() -> Vec<&'static str> {
    NEEDED.split(',').filter(|name| !name.is_empty()).collect()
}

/// Whether this processor has a feature, of those that matter to an engine.
pub(crate) fn has(name: &str) -> bool {
    KNOWN.iter().any(|(known, is_there)| *known == name && is_there())
}

/// Says what is missing.
///
/// # Errors
/// `Unsupported`.
pub(crate) fn check() -> Result<()> {
    let missing = missing(NEEDED, KNOWN);
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ").to_uppercase();
    let message = format!(
        "this processor lacks {missing}, for which this speechctl was built; build it on this machine with `cargo install`"
    );
    Err(Error::new(Kind::Unsupported, message))
}

fn missing<'a>(needed: &'a str, known: &[Feature]) -> Vec<&'a str> {
    let is_there = |name: &str| known.iter().find(|(known, _)| *known == name).is_none_or(|(_, has)| has());
    needed.split(',').filter(|name| !name.is_empty() && !is_there(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let known: &[Feature] = &[("avx", || true), ("avx2", || false), ("fma", || false)];
        assert_eq!(missing("avx,avx2,fma", known), ["avx2", "fma"]);
        assert_eq!(missing("avx", known), [""; 0]);
        assert_eq!(missing("", known), [""; 0]);
    }

    #[test]
    fn the_machine_that_built_it_can_run_it() {
        assert!(check().is_ok());
    }

    #[test]
    fn everything_needed_is_known() {
        assert!(NEEDED.split(',').all(|name| name.is_empty() || KNOWN.iter().any(|(known, _)| *known == name)));
    }
}
