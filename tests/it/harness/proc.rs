//! What /proc tells of processes.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

/// The living children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let mut children = all_children(pid);
    children.retain(|child| is_alive(*child));
    children
}

/// The children of a process that have ended, and that it has not waited for.
pub(crate) fn zombies(pid: u32) -> Vec<u32> {
    let mut children = all_children(pid);
    children.retain(|child| stat(*child).is_some_and(|stat| stat[0] == "Z"));
    children
}

fn all_children(pid: u32) -> Vec<u32> {
    let tasks = match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(tasks) => tasks,
        Err(_) => return Vec::new(),
    };
    let mut children = Vec::new();
    for task in tasks.flatten() {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    children
}

/// Whether a process is there, and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat[0] != "Z")
}

/// The fields of its `stat` from the state on, which is field 3 in the manual.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Its process group.
pub(crate) fn group(pid: u32) -> u32 {
    stat(pid).expect("it is there")[2].parse().expect("a number")
}

/// The processor time that it has had.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let stat = stat(pid).expect("it is there");
    let ticks: u64 = stat[11..=12].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    // A hundredth of a second each, wherever Linux runs.
    Duration::from_millis(ticks * 10)
}

/// A line of its `status`: "NoNewPrivs", "VmHWM".
pub(crate) fn status(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    line.trim().to_owned()
}

/// Where its descriptors lead, each with its number.
pub(crate) fn descriptors(pid: u32) -> Vec<(i32, PathBuf)> {
    let Ok(list) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let of = |entry: fs::DirEntry| Some((entry.file_name().to_str()?.parse().ok()?, fs::read_link(entry.path()).ok()?));
    list.flatten().filter_map(of).collect()
}

/// The sockets and pipes that it holds.
pub(crate) fn connections(pid: u32) -> BTreeSet<PathBuf> {
    let is_connection =
        |path: &PathBuf| ["socket:", "pipe:"].iter().any(|kind| path.to_string_lossy().starts_with(kind));
    descriptors(pid).into_iter().map(|(_, path)| path).filter(is_connection).collect()
}

/// What it was started with.
pub(crate) fn command_line(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}
