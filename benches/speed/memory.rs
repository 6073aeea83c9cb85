//! How much memory a program takes, with all the processes that it starts.

use crate::{Result, turns::failure};
use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// How often to look. What is taken in the last moment before an end is not seen; that goes for everybody.
const LOOK: Duration = Duration::from_millis(2);

/// The most memory that was resident in a run, in MiB: the high-water marks (`VmHWM`) of every process of its tree,
/// added up.
///
/// This is the dearest way to count, and speechctl, which has two processes, pays for it: pages that both share, such
/// as the program's own code, count twice, and the marks need not have been reached at the same time.
pub(crate) fn peak(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut marks = BTreeMap::new();
    let status = loop {
        for pid in tree(child.id()) {
            // A mark only ever grows, but for one that was looked at between fork and exec: there it is the parent's.
            if let Some(mark) = status_kib(pid, "VmHWM:") {
                marks.insert(pid, mark);
            }
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(LOOK);
    };
    if !status.success() {
        return Err(failure(&command, &status.to_string()));
    }
    Ok(mebibytes(marks.values().sum()))
}

/// A process and all that come from it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next).copied() {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            tree.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    tree
}

/// A line of `/proc/PID/status`, in KiB.
pub(crate) fn status_kib(pid: u32, name: &str) -> Option<u64> {
    kib(&format!("/proc/{pid}/status"), name)
}

/// The resident memory of a process, of which it has a share only where others have it too, in KiB.
pub(crate) fn proportional_kib(pid: u32) -> Option<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

pub(crate) fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
