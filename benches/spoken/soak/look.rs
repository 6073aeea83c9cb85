//! What the server holds at a moment: what only grows is a leak.

use crate::process;

/// The columns.
pub(super) const HEAD: &[&str] =
    &["when", "resident, MiB", "open descriptors", "threads", "workers", "resident in workers, MiB"];

/// One moment.
pub(super) struct Look {
    /// In KiB.
    resident: u64,
    descriptors: usize,
    threads: u64,
    workers: usize,
    /// In KiB.
    in_workers: u64,
}

impl Look {
    /// Looks now.
    pub(super) fn at(server: u32) -> Self {
        let workers = process::workers(server);
        Self {
            resident: process::resident(server),
            descriptors: process::descriptors(server),
            threads: process::threads(server),
            workers: workers.len(),
            in_workers: workers.into_iter().map(process::resident).sum(),
        }
    }

    pub(super) fn cells(&self, when: &str) -> Vec<String> {
        let mebibytes = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        vec![
            when.to_owned(),
            mebibytes(self.resident),
            self.descriptors.to_string(),
            self.threads.to_string(),
            self.workers.to_string(),
            mebibytes(self.in_workers),
        ]
    }
}
