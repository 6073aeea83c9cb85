//! Who kills workers.

use super::tally::Tally;
use crate::{process, random::Random};
use rustix::process::Signal;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Milliseconds between two kills: at least, and by how much more at most; five seconds in the mean.
const WAIT: (u64, usize) = (2_500, 5_000);

/// Kills some worker of the server every now and then.
pub(super) async fn kill(server: u32, seed: u64, until: Instant, tally: Arc<Tally>) {
    let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    loop {
        sleep(Duration::from_millis(WAIT.0 + random.below(WAIT.1) as u64)).await;
        if Instant::now() >= until {
            return;
        }
        let workers = process::workers(server);
        if !workers.is_empty() {
            process::signal(workers[random.below(workers.len())], Signal::KILL);
            tally.count(|numbers| numbers.kills += 1);
        }
    }
}
