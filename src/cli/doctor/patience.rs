//! Checks that may hang, on a disk that is away or on a server that is mute, are left behind after a while.

use super::finding::Finding;
use crate::error::{Error, Kind, Result};
use std::{thread, time::Duration};
use tokio::{sync::oneshot, time::timeout};

/// How long a look at the disk may take.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// Does what blocks on a thread of its own, and waits so long for it. A thread that is late ends with the program.
///
/// # Errors
/// `Deadline`; `Internal` where the check breaks off or there is no thread.
pub(super) async fn on_thread<T: Send + 'static>(
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (done, result) = oneshot::channel();
    let spawned = thread::Builder::new().name("doctor".to_owned()).spawn(move || drop(done.send(look())));
    spawned.map_err(|cause| Error::new(Kind::Internal, "the system gives no threads").because(cause))?;
    match timeout(limit, result).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(Error::new(Kind::Internal, "this check broke off, which is a bug")),
        Err(_) => {
            let seconds = limit.as_secs();
            Err(Error::new(Kind::Deadline, format!("no answer within {seconds} s; is it on a disk that is away?")))
        }
    }
}

/// The same for a check, whose finding then is that it does not answer.
pub(super) async fn finding(
    name: &'static str,
    limit: Duration,
    look: impl FnOnce() -> Finding + Send + 'static,
) -> Finding {
    on_thread(limit, look).await.unwrap_or_else(|error| Finding::of_error(name, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_left_behind() {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let late = on_thread(Duration::from_millis(1), move || held.recv().is_ok()).await.expect_err("it hangs");
        assert_eq!(late.kind(), Kind::Deadline);
        drop(hold);
        assert_eq!(on_thread(LOOK, || 7).await.expect("it is quick"), 7);
    }

    #[tokio::test]
    async fn what_breaks_off_is_told() {
        let broken = on_thread(LOOK, || -> () { panic!("a bug") }).await.expect_err("it panics");
        assert_eq!(broken.kind(), Kind::Internal);
    }
}
