//! What a worker gives up before foreign code runs in it: life after its server, new rights, core files, most of its
//! files, memory without end.
//!
//! An engine may be made to do what it should not by what it reads. Then the less the process may do the better. What
//! the system does not let us give up is told and passed over: an engine is of more use than its walls.

use crate::error::{Error, Kind, Result};
use rustix::process::{Resource, Rlimit, Signal};

/// Open files of a worker that has one connection: some for the engine, few enough that a leak shows.
const FILES: u64 = 256;

/// Whether the process that started this one is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    /// It is, or nobody asked.
    There,
    /// It ended before this process could tie its life to it.
    Gone,
}

/// Confines a worker that a server started as its child, this one if it is named.
pub(super) fn child(parent: Option<i32>) -> Parent {
    if let Some(parent) = parent {
        told("the parent's death", rustix::process::set_parent_process_death_signal(Some(Signal::KILL)));
        // It may have died before that, and somebody else has adopted this process.
        if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
            return Parent::Gone;
        }
    }
    told("new privileges", rustix::thread::set_no_new_privs(true));
    told("core files", lower(Resource::Core, 0));
    told("open files", lower(Resource::Nofile, FILES));
    Parent::There
}

/// Limits the memory of this process to so many bytes; 0 leaves it as it is. Address space that is only reserved does
/// not count.
///
/// # Errors
/// `Config` for more than the process may have.
pub(super) fn memory(bytes: u64) -> Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    let most = rustix::process::getrlimit(Resource::Data).maximum;
    if let Some(most) = most.filter(|most| *most < bytes) {
        let message = format!("`--memory` {bytes} is more than the {most} bytes that this process may have");
        return Err(Error::new(Kind::Config, message));
    }
    told("memory", lower(Resource::Data, bytes));
    Ok(())
}

/// Sets both limits, but neither above what it is.
fn lower(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    let Rlimit { current, maximum } = rustix::process::getrlimit(resource);
    let lowered = |now: Option<u64>| Some(now.map_or(limit, |now| now.min(limit)));
    rustix::process::setrlimit(resource, Rlimit { current: lowered(current), maximum: lowered(maximum) })
}

fn told(what: &str, outcome: rustix::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(what, %error, "Worker cannot be confined.");
    }
}

/// Reads a size: bytes, or with K, M, G, T behind it, which count by 1024.
///
/// # Errors
/// A sentence for clap.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "it is no size: give bytes, or a number with K, M, G or T behind it".to_owned();
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default().to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(|| "it is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let good = [("0", 0), ("4096", 4096), ("16M", 16 << 20), ("2g", 2 << 30), ("512MiB", 512 << 20), ("1KB", 1024)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "-1", "1.5G", "2X", "1 G", "99999999999999999999", "99999999T", "2GG", "1iB5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_never_raised() {
        let before = rustix::process::getrlimit(Resource::Msgqueue);
        lower(Resource::Msgqueue, u64::MAX - 1).expect("it may be lowered");
        let after = rustix::process::getrlimit(Resource::Msgqueue);
        assert!(after.current <= before.current.or(Some(u64::MAX)), "{after:?}");
    }
}
