//! What /proc tells of the server and its workers.

use rustix::process::{Pid, Signal, kill_process};
use std::{collections::BTreeMap, fs};

/// The workers of a server: its children that run as such. One that was born just now is still a copy of the server.
pub(crate) fn workers(server: u32) -> Vec<u32> {
    let mut children = children(server);
    children.retain(|child| is_worker(*child));
    children
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// One that has ended has no command line any more.
fn is_worker(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1).is_some_and(|word| word == b"worker")
}

/// Sends a signal. That the process is gone by now is no failure.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).unwrap_or_default();
    }
}

/// Seconds of processor time that each of these has had.
pub(crate) fn times(pids: &[u32]) -> BTreeMap<u32, f64> {
    pids.iter().filter_map(|pid| Some((*pid, time(*pid)?))).collect()
}

/// Seconds of processor time between two looks. What a process had after the second look before it ended is not seen.
pub(crate) fn spent(before: &BTreeMap<u32, f64>, after: &BTreeMap<u32, f64>) -> f64 {
    after.iter().map(|(pid, time)| time - before.get(pid).copied().unwrap_or(0.0)).sum()
}

fn time(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields 14 and 15 of the manual; what is in brackets is the second, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    Some((ticks(11)? + ticks(12)?) / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident memory, in KiB.
pub(crate) fn resident(pid: u32) -> u64 {
    kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Resident memory, of which a process has a share only where others have it too, in KiB.
pub(crate) fn proportional(pid: u32) -> u64 {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(file: &str, name: &str) -> u64 {
    field(file, name).unwrap_or(0)
}

/// Threads.
pub(crate) fn threads(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "Threads:").unwrap_or(0)
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Open descriptors.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
