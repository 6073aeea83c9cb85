//! What the system says of memory. Linux tells by /proc; where nothing tells, nothing is known, and nobody guesses.

use std::fs;

/// Memory that could be used without anybody having to give some back, bytes: of the system, or of the control group
/// that we are in, where that is less.
pub(super) fn free() -> Option<u64> {
    let of_system = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")? * 1024;
    Some(of_group().map_or(of_system, |of_group| of_group.min(of_system)))
}

/// All the memory that there is for us, bytes.
pub(crate) fn total() -> Option<u64> {
    let of_system = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")? * 1024;
    Some(group_limit().map_or(of_system, |of_group| of_group.min(of_system)))
}

/// The resident memory of a process, bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// How often the system has killed a process for want of memory since it started.
pub(super) fn kills() -> Option<u64> {
    field(&fs::read_to_string("/proc/vmstat").ok()?, "oom_kill ")
}

/// Whether somebody has stopped a process (SIGSTOP).
pub(super) fn is_frozen(pid: u32) -> bool {
    // The name, in parentheses, may hold anything; the state is the first word behind it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 't']))
}

fn of_group() -> Option<u64> {
    let used: u64 = fs::read_to_string("/sys/fs/cgroup/memory.current").ok()?.trim().parse().ok()?;
    group_limit().map(|limit| limit.saturating_sub(used))
}

/// "max" is no number, and no limit.
fn group_limit() -> Option<u64> {
    fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

/// The number behind a name, in a file of one name a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "MemTotal:       16 kB\nMemAvailable:   12 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(12));
        assert_eq!(field(text, "Swap:"), None);
    }

    #[test]
    fn this_process_has_memory_and_is_not_frozen() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert!(free().is_some_and(|free| free <= total().unwrap_or(0)));
        assert!(!is_frozen(std::process::id()));
    }
}
