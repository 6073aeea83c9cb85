//! How often a call is made again when its worker dies, and how long to wait before. Pure.

use crate::{
    error::{Details, Error, Kind},
    server::supervisor::{
        Turn,
        death::{Cause, Death},
    },
};
use std::time::Duration;

/// Deaths by the call's own doing after which it is never given another worker.
const POISON: u32 = 3;

/// Deaths from outside after which even an innocent call is made again; after one more it gives up.
const PATIENCE: u32 = 10;

/// Broken connections after which a call gives up: a worker elsewhere does not tell whose doing it was.
const DISCONNECTIONS: u32 = 3;

/// The first wait that is not zero.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Counts the deaths under one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    own_doing: u32,
    from_outside: u32,
    /// Of those from outside.
    disconnections: u32,
    is_patient: bool,
    /// It has had a worker before.
    has_waited: bool,
}

/// What to do after a death.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Call again after this wait.
    Again(Duration),
    /// Give up, with this.
    GiveUp(Error),
}

impl Attempts {
    /// Those of a call that waits as long as it must.
    pub(crate) fn patient() -> Self {
        Self { is_patient: true, ..Self::default() }
    }

    /// How the call waits for a worker.
    pub(crate) fn turn(&self) -> Turn {
        match (self.has_waited || self.own_doing + self.from_outside > 0, self.is_patient) {
            (true, _) => Turn::Again,
            (false, true) => Turn::Patient,
            (false, false) => Turn::New,
        }
    }

    /// The call has had its turn: what is left of it need not wait behind others.
    pub(crate) fn note_turn(&mut self) {
        self.has_waited = true;
    }

    /// Forgets all deaths, but not that the call has had its turn.
    pub(crate) fn forget(&mut self) {
        let Self { is_patient, has_waited, .. } = *self;
        *self = Self { is_patient, has_waited, ..Self::default() };
    }

    /// Takes note of a death under the call.
    pub(crate) fn after(&mut self, death: &Death) -> Verdict {
        if death.cause.is_own_doing() {
            self.own_doing += 1;
        } else {
            self.from_outside += 1;
            self.disconnections += u32::from(death.cause == Cause::Disconnected);
        }
        if self.own_doing >= POISON {
            let message = format!("{POISON} workers were lost to this request, the last one because {death}");
            return Verdict::GiveUp(because_of(death, Kind::Internal, message));
        }
        if self.from_outside > PATIENCE || self.disconnections >= DISCONNECTIONS {
            let lost = self.from_outside;
            let message = format!("{lost} workers were lost, none to this request; the last one because {death}");
            return Verdict::GiveUp(because_of(death, Kind::Unavailable, message).retry_after(LONGEST_WAIT));
        }
        Verdict::Again(wait_before(self.own_doing + self.from_outside))
    }
}

/// The wait before a repeat: none before the first, then doubling.
fn wait_before(repeat: u32) -> Duration {
    if repeat <= 1 {
        return Duration::ZERO;
    }
    FIRST_WAIT.saturating_mul(1 << (repeat - 2).min(16)).min(LONGEST_WAIT)
}

/// An error that tells of a death, its cause and its last words.
pub(crate) fn because_of(death: &Death, kind: Kind, message: String) -> Error {
    let message = match death.last_words.last() {
        Some(line) => format!("{message} and said: {line}"),
        None => message,
    };
    let details = Details {
        last_words: death.last_words.clone(),
        cause_of_death: Some(death.cause.word()),
        ..Details::default()
    };
    Error::new(kind, message).with_details(details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn death(cause: Cause) -> Death {
        Death { last_words: vec!["boom".to_owned()], ..Death::of(cause) }
    }

    #[test]
    fn the_first_repeat_is_immediate() {
        let verdict = Attempts::default().after(&death(Cause::Signal(9)));
        assert!(matches!(verdict, Verdict::Again(Duration::ZERO)));
    }

    #[test]
    fn poison_is_told_with_what_killed() {
        let mut attempts = Attempts::default();
        attempts.after(&death(Cause::Signal(6)));
        attempts.after(&death(Cause::Signal(6)));
        let Verdict::GiveUp(error) = attempts.after(&death(Cause::Signal(11))) else { panic!("a fourth try") };
        assert_eq!(error.kind(), Kind::Internal);
        assert_eq!(error.details().cause_of_death.as_deref(), Some("SIGSEGV"));
        assert!(error.to_string().ends_with("and said: boom"), "{error}");
    }

    proptest! {
        /// Against the simple model: it ends at the third own death or the eleventh from outside, whichever comes first.
        #[test]
        fn it_ends_when_the_model_says(deaths in proptest::collection::vec(any::<bool>(), 1..30)) {
            let mut attempts = Attempts::default();
            let (mut own, mut outside) = (0, 0);
            for own_doing in deaths {
                let verdict = attempts.after(&death(Cause::Signal(if own_doing { 6 } else { 9 })));
                if own_doing { own += 1 } else { outside += 1 }
                let ends = own == 3 || outside == 11;
                prop_assert_eq!(matches!(verdict, Verdict::GiveUp(_)), ends);
                if ends { break }
                if let Verdict::Again(wait) = verdict {
                    prop_assert!(wait <= LONGEST_WAIT);
                }
            }
        }
    }
}
