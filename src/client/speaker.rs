//! A loudspeaker: says what it is given, as it comes.
//!
//! Whoever speaks may hand over faster than it is heard, and waits then; or slower, and there is silence meanwhile. The
//! sound server holds little of it, so that a speaker that is dropped is silent at once.

mod player;

use crate::{
    client::sound::{self, Device, Fault, Leash, Role},
    error::{Error, Kind, Result},
};
use player::Player;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How much the sound server holds. All that it holds is lost when we stop; with less, a busy machine stutters.
const HELD: Duration = Duration::from_millis(100);

/// Pieces of sound in a second, as they are handed over.
const PIECES: usize = 4;

/// How much waits beside the piece that is being handed over, in pieces: together 2 s with what the server holds.
const WAITING: usize = 6;

/// Where a thread tells what it has found.
type Reply<T> = oneshot::Sender<Result<T>>;

/// A loudspeaker that was found.
pub(crate) struct Loudspeaker(sound::Opened);

/// A loudspeaker that plays. Silent at once when this is dropped.
pub(crate) struct Speaker {
    device: Device,
    rate: u32,
    /// None once all was handed over.
    pieces: Option<mpsc::Sender<Vec<i16>>>,
    player: JoinHandle<Result<(), Fault>>,
    underruns: Arc<AtomicU64>,
    _leash: Leash,
}

/// Finds a loudspeaker: the default one, or one by its id, its name, or a part of its name.
///
/// # Errors
/// `InvalidInput`: several have this part in their names. `NotFound`: none has. `Io`: there is no loudspeaker, or no sound
/// server.
pub(crate) async fn find(name: Option<&str>) -> Result<Loudspeaker> {
    let wanted = name.filter(|name| !name.is_empty()).map(str::to_owned);
    // Nobody to tell is nobody who minds, here as below.
    let find = move |reply: Reply<_>| drop(reply.send(sound::open(Role::Loudspeaker, wanted.as_deref())));
    Ok(Loudspeaker(sound::on_thread(Role::Loudspeaker, find).await?))
}

impl Loudspeaker {
    /// Which one it is.
    pub(crate) fn device(&self) -> &Device {
        &self.0.device
    }

    /// Begins to play samples of this rate in Hz, whatever its own is.
    ///
    /// # Errors
    /// `Io`: it cannot be opened.
    pub(crate) async fn begin(self, rate: u32) -> Result<Speaker> {
        let device = self.0.device.clone();
        let played = sound::on_thread(Role::Loudspeaker, move |reply| drop(reply.send(Ok(self.0.play(rate, HELD)))));
        let begun = played.await?.and_then(|(socket, stream, room)| {
            let ended = |cause| Fault::Ended(Some(cause));
            let leash = Leash::of(&socket)?;
            socket.set_nonblocking(true).map_err(ended)?;
            Ok((leash, UnixStream::from_std(socket).map_err(ended)?, stream, room))
        });
        let (leash, socket, stream, room) = begun.map_err(|cause| sound::unusable(&device, cause))?;
        let (pieces, queue) = mpsc::channel(1);
        let underruns = Arc::new(AtomicU64::new(0));
        let most = rate as usize * size_of::<i16>() * WAITING / PIECES;
        let player = Player::new(socket, stream, room, most, underruns.clone());
        let player = tokio::spawn(player.play(queue));
        Ok(Speaker { device, rate, pieces: Some(pieces), player, underruns, _leash: leash })
    }
}

impl Speaker {
    /// Hands over what is to be said next; waits while there are 2 s that have not been heard. A call that is given up
    /// may have handed over a part.
    ///
    /// # Errors
    /// `Io`: the loudspeaker was unplugged, the sound server has ended, or takes no sound for 5 s.
    pub(crate) async fn write(&mut self, samples: &[i16]) -> Result<()> {
        for piece in samples.chunks((self.rate as usize / PIECES).max(1)) {
            let Some(pieces) = &self.pieces else { break };
            if pieces.send(piece.to_vec()).await.is_err() {
                return self.end().await;
            }
        }
        Ok(())
    }

    /// Waits until all is heard. Nothing can be handed over after that.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub(crate) async fn drain(&mut self) -> Result<()> {
        self.end().await
    }

    /// How often there was nothing to play before the end.
    pub(crate) fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    /// Waits until the player has played all, or has failed.
    async fn end(&mut self) -> Result<()> {
        if self.pieces.take().is_none() {
            return Err(Error::new(Kind::Io, format!("{} has ended", self.device)));
        }
        match (&mut self.player).await {
            Ok(played) => played.map_err(|cause| sound::lost(&self.device, cause)),
            Err(gone) => Err(Error::new(Kind::Internal, "the loudspeaker's task has ended").because(gone)),
        }
    }
}
