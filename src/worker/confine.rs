//! What a worker gives up before foreign code runs in it: life after its server, new rights, core files, most of its
//! files, memory without end.
//!
//! An engine may be made to do what it should not by what it reads. Then the less the process may do the better. What
//! the system does not let us give up is told and passed over: an engine is of more use than its walls.

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
    told("open files", lower(Resource::Nofile, FILES));
    if let Some(parent) = parent {
        told("the parent's death", rustix::process::set_parent_process_death_signal(Some(Signal::KILL)));
        // It may have died before that, and somebody else has adopted this process.
        if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
            return Parent::Gone;
        }
    }
    alone();
    Parent::There
}

/// Confines a worker that somebody started by hand, whose callers bring connections of which it does not know how many.
pub(super) fn alone() {
    told("new privileges", rustix::thread::set_no_new_privs(true));
    told("core files", lower(Resource::Core, 0));
}

/// Limits the memory of this process to so many bytes; 0 leaves it as it is. Address space that is only reserved does
/// not count.
/// Where it may have less already, it stays with that.
pub(super) fn memory(bytes: u64) {
    if bytes > 0 {
        told("memory", lower(Resource::Data, bytes));
    }
}

/// Sets both limits, but neither above what it is.
fn lower(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    let Rlimit { current, maximum } = rustix::process::getrlimit(resource);
    let lowered = |now: Option<u64>| Some(now.map_or(limit, |now| now.min(limit)));
    rustix::process::setrlimit(resource, Rlimit { current: lowered(current), maximum: lowered(maximum) })
}

fn told(what: &str, outcome: rustix::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(what, %error, "Worker cannot be confined.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_raised() {
        let before = rustix::process::getrlimit(Resource::Msgqueue);
        lower(Resource::Msgqueue, u64::MAX - 1).expect("it may be lowered");
        let after = rustix::process::getrlimit(Resource::Msgqueue);
        assert!(after.current <= before.current.or(Some(u64::MAX)), "{after:?}");
    }
}
