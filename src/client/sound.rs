//! What hears and what speaks on this machine, through PulseAudio's protocol, which PipeWire speaks too. `mic` and
//! `speaker` are made of it.
//!
//! Nothing here waits without end for a sound server that hangs.

mod device;
mod fault;
mod server;
mod stream;
mod wire;

use crate::error::{Error, Kind, Result};
use std::{thread, time::Duration};
use tokio::{sync::oneshot, time::timeout};

pub(crate) use device::{Device, Role};
pub(super) use device::{Opened, lost, open, unusable};
pub(super) use fault::Fault;
pub(super) use server::Leash;
pub(super) use stream::{Event, Stream};

/// How long a device, or the list of them, may take to come.
const OPENING: Duration = Duration::from_secs(5);

/// How often we look whether a device is still there.
pub(super) const CHECK: Duration = Duration::from_secs(1);

/// What devices of a role there are, the default one first. At the end of the microphones also what loudspeakers play.
///
/// # Errors
/// `Io`: there is no sound server, or it does not answer.
pub(crate) async fn devices(role: Role) -> Result<Vec<Device>> {
    on_thread(role, move |reply| drop(reply.send(device::list(role)))).await
}

/// Does what may hang on a thread of its own, and waits for its reply as long as that is bearable. A thread that is late
/// finds nobody who listens, and ends by itself, at the latest with the program.
///
/// # Errors
/// What is replied; `Io`: nothing is, for 5 s.
pub(super) async fn on_thread<T: Send + 'static>(
    role: Role,
    run: impl FnOnce(oneshot::Sender<Result<T>>) + Send + 'static,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let spawned = thread::Builder::new().name(role.to_string()).spawn(move || run(reply));
    spawned.map_err(|cause| Error::new(Kind::Io, format!("cannot start a thread for the {role}")).because(cause))?;
    match timeout(OPENING, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(gone)) => Err(Error::new(Kind::Internal, format!("the thread of the {role} has ended")).because(gone)),
        Err(_) => {
            let seconds = OPENING.as_secs();
            Err(Error::new(Kind::Io, format!("no {role}: the sound server does not answer within {seconds} s")))
        }
    }
}
