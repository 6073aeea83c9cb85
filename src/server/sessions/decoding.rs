//! One window, decoded by whatever worker lives. A session decides what a loss means; here it is only told.

use crate::{
    error::{Error, Kind},
    proto::stt::TranscribeFileRequest,
    server::supervisor::{Ended, Supervisor, worker::Failure},
    speech::{ModelId, Samples, Segment},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause before another try where no worker could be had, and its doubling.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What came of a window.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What was heard, and how long the engine took.
    Heard { segments: Vec<Segment>, language: String, took: Duration },
    /// The worker is lost; by the audio's own doing, where a cause is told.
    Lost { own_doing: Option<String> },
    /// It cannot be decoded, now or ever.
    Refused(Error),
}

/// Work on a window.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) supervisor: Supervisor,
    pub(super) model: ModelId,
    pub(super) request: TranscribeFileRequest,
    pub(super) length: Samples,
    pub(super) is_silent: bool,
}

impl Work {
    /// Does it. Where no worker can be had it goes on asking: the audio waits in the log.
    pub(super) async fn run(self) -> Outcome {
        let mut pause = PAUSES.0;
        loop {
            let mut call = self.supervisor.insist(self.model.clone());
            let failure = match call.lease().await {
                Ok(lease) => {
                    let since = Instant::now();
                    let heard = lease.worker.transcribe(self.request.clone(), self.length, self.is_silent).await;
                    lease.end(if heard.is_ok() { Ended::Well } else { Ended::Somehow });
                    match heard {
                        Ok(heard) => {
                            let took = since.elapsed();
                            return Outcome::Heard { segments: heard.segments, language: heard.language, took };
                        }
                        Err(Failure::Lost(death)) => {
                            tracing::warn!(model = %self.model, cause = %death.cause.word(), "A session lost its worker.");
                            let own_doing = death.cause.is_own_doing().then(|| death.cause.word());
                            return Outcome::Lost { own_doing };
                        }
                        Err(refused) => refused,
                    }
                }
                Err(failure) => failure,
            };
            let wait = match failure {
                // It died before it had the audio.
                Failure::Lost(_) => None,
                Failure::Refused(error) if is_passing(error.kind()) => error.details().retry_after,
                Failure::Refused(error) => return Outcome::Refused(error),
            };
            sleep(wait.unwrap_or(pause).clamp(PAUSES.0, PAUSES.1)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// Whether waiting may help.
fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Busy | Kind::Unavailable | Kind::Deadline | Kind::Cancelled)
}
