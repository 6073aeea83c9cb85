//! One session after another, each with utterances as chance has them.

use super::{
    plan::{self, Plan},
    references::{References, SEEDS},
    tally::Tally,
    utterance::{Ending, Speaker},
};
use crate::{
    caller::{Caller, Start},
    random::Random,
    texts::SMALL_TALK,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// When to try again where something has failed.
const COME_BACK: Duration = Duration::from_secs(1);

/// Of a hundred utterances, how many are the last of their session.
const LAST: usize = 5;

/// Milliseconds between two utterances, fewer than these: of sessions at the pace of a listener, and of others, which
/// would have all of the machine otherwise.
const BETWEEN: [usize; 2] = [1_000, 4_000];

/// Who plays one session.
pub(super) struct Player {
    number: usize,
    random: Random,
    address: String,
    /// By its place among all, and by its name.
    model: (usize, String),
    until: Instant,
}

/// Whether a connection is of use any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Gone,
}

impl Player {
    pub(super) fn new(number: usize, seed: u64, address: &str, model: usize, model_name: &str, until: Instant) -> Self {
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (random, model) = (Random::new(seed), (model, model_name.to_owned()));
        Self { number, random, address: address.to_owned(), model, until }
    }

    /// Plays until it is time: over one connection after another, each with names of its own.
    pub(super) async fn play(mut self, references: Arc<References>, tally: Arc<Tally>) {
        for connection in 0.. {
            if self.is_over() {
                return;
            }
            match Caller::connect(&self.address).await {
                Ok(caller) => {
                    let (caller, session) = (Arc::new(caller), format!("soak-{}-{connection}", self.number));
                    let speaker = Speaker { caller: &caller, session: &session, tally: &tally };
                    self.sessions(&speaker, &references).await;
                }
                Err(error) => {
                    tally.fail_by("connection", "ERROR", &error.to_string());
                    sleep(COME_BACK).await;
                }
            }
        }
    }

    /// One session after another, of the same name, over the same connection.
    async fn sessions(&mut self, speaker: &Speaker<'_>, references: &References) {
        while !self.is_over() {
            if !self.begin(speaker).await || self.session(speaker, references).await == Line::Gone {
                return;
            }
        }
    }

    /// Begins a session, whatever that takes; `false` where it did not begin.
    async fn begin(&self, speaker: &Speaker<'_>) -> bool {
        let Speaker { caller, session, tally } = speaker;
        let seed = self.seed().to_string();
        let mut options = vec![("seed", seed.as_str())];
        if !self.is_paced() {
            options.push(("pacing", "none"));
        }
        while !self.is_over() {
            match caller.start(session, &self.model.1, &options).await {
                Ok(Start::Begun) => {
                    tally.count(|numbers| numbers.sessions += 1);
                    return true;
                }
                Ok(Start::Refused(wait)) => {
                    tally.count(|numbers| numbers.refused += 1);
                    sleep(wait).await;
                }
                Ok(Start::NoSuccess(message)) => {
                    tally.fail_by("StartSession", "NO_SUCCESS", &message);
                    sleep(COME_BACK).await;
                }
                Err(status) => {
                    tally.fail("StartSession", &status);
                    sleep(COME_BACK).await;
                    return false;
                }
            }
        }
        false
    }

    /// One utterance after another.
    async fn session(&mut self, speaker: &Speaker<'_>, references: &References) -> Line {
        loop {
            let plan = self.plan(speaker.session, references);
            let line = match speaker.speak(plan).await {
                Ending::Well => Line::Open,
                Ending::Cut => return Line::Gone,
                // What it has left is not to disturb who comes next.
                Ending::Failed => Line::Gone,
            };
            let between = BETWEEN[usize::from(!self.is_paced())];
            sleep(Duration::from_millis(self.random.below(between) as u64)).await;
            if line == Line::Gone || self.is_over() || self.random.below(100) < LAST {
                if let Err(status) = speaker.caller.end(speaker.session).await {
                    speaker.tally.fail("EndSession", &status);
                    return Line::Gone;
                }
                return line;
            }
        }
    }

    fn plan(&mut self, session: &str, references: &References) -> Plan {
        let (number, model, seed) = (self.random.below(SMALL_TALK.len()), self.model.0, self.seed());
        let reference = references.of(model, seed, number);
        let chunks = plan::chunks(&mut self.random, session, SMALL_TALK[number]);
        let deed = plan::deed(&mut self.random, &reference);
        let name = format!("{session}, model {model}, seed {seed}, text {number} in {} messages", chunks.len());
        Plan { chunks, deed, reference, name }
    }

    /// Noise is made from it.
    fn seed(&self) -> u64 {
        SEEDS[self.number / 2 % SEEDS.len()]
    }

    /// Three of four.
    fn is_paced(&self) -> bool {
        self.number % 4 != 3
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}
