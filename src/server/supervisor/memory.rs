//! What the system says of memory. Linux tells by /proc; where nothing tells, nothing is known, and nobody guesses.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a control group uses, by the names of versions 2 and 1.
const CURRENT: [&str; 2] = ["memory.current", "memory.usage_in_bytes"];

/// What it may use.
const LIMIT: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];

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
    groups()
        .into_iter()
        .filter_map(|group| {
            // Pages of files count as used, and are given back when somebody needs them.
            let cached = fs::read_to_string(group.join("memory.stat")).ok();
            let cached = cached.and_then(|stat| field(&stat, "inactive_file ")).unwrap_or(0);
            let used = number(&group.join(CURRENT[0])).or_else(|| number(&group.join(CURRENT[1])))?;
            limit(&group).map(|limit| limit.saturating_sub(used.saturating_sub(cached)))
        })
        .min()
}

fn group_limit() -> Option<u64> {
    groups().iter().filter_map(|group| limit(group)).min()
}

/// The least that a group may use. "max" is no number, and no limit.
fn limit(group: &Path) -> Option<u64> {
    LIMIT.iter().find_map(|name| number(&group.join(name)))
}

/// The control group that we are in, and those that it is part of: each may have a limit.
fn groups() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 has one line, "0::/path"; version 1 one for each controller.
    let ours = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            ("", path) => Some(("/sys/fs/cgroup", path)),
            (controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                Some(("/sys/fs/cgroup/memory", path))
            }
            _ => None,
        }
    });
    let mut groups = Vec::new();
    for (root, path) in ours {
        let mut group = PathBuf::from(format!("{root}{path}"));
        while group.starts_with(root) {
            groups.push(group.clone());
            group.pop();
        }
    }
    groups
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
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
