//! A wire that can be cut: it forwards bytes between one client and the server, until it is told to break off.

use super::random::Random;
use crate::error::{Error, Kind, Result};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

/// Pieces in which bytes are forwarded: smaller than most messages, so that a cut goes through one.
const PIECE: usize = 512;

/// The pause after the system gave no connection.
const PAUSE: Duration = Duration::from_millis(20);

/// The wire of one session.
#[derive(Debug)]
pub(super) struct Wire {
    /// Where a client finds its end.
    pub(super) address: SocketAddr,
    cuts: watch::Sender<u64>,
    open: Arc<Mutex<usize>>,
    cut_at: Mutex<Option<Instant>>,
    /// Aborted with the wire.
    _forwarding: JoinSet<()>,
}

impl Wire {
    /// Lays a wire to a server.
    ///
    /// # Errors
    /// `Io` where the system gives no port.
    pub(super) async fn lay(server: SocketAddr, random: Random) -> Result<Self> {
        let no_port = |cause: io::Error| Error::new(Kind::Io, "the system gives no port on 127.0.0.1").because(cause);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let (cuts, cut) = watch::channel(0);
        let open = Arc::new(Mutex::new(0));
        let mut forwarding = JoinSet::new();
        forwarding.spawn(accept(listener, server, cut, Arc::clone(&open), random));
        Ok(Self { address, cuts, open, cut_at: Mutex::default(), _forwarding: forwarding })
    }

    /// Breaks the connection, at once and without a word. `false` where there is none.
    pub(super) fn cut(&self) -> bool {
        if *self.open.lock().unwrap_or_else(PoisonError::into_inner) == 0 {
            return false;
        }
        *self.cut_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.cuts.send_modify(|cuts| *cuts += 1);
        true
    }

    /// When it was cut last.
    pub(super) fn cut_at(&self) -> Option<Instant> {
        *self.cut_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections, and forwards each.
async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    cut: watch::Receiver<u64>,
    open: Arc<Mutex<usize>>,
    mut random: Random,
) {
    let mut wires = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        while wires.try_join_next().is_some() {}
        // The server may be away: then the client finds a closed door, as it would without us.
        let Ok(far) = TcpStream::connect(server).await else { continue };
        // A port that nobody listens on may be given to the very connection that looks for it.
        if far.local_addr().ok() == far.peer_addr().ok() {
            continue;
        }
        let piece = 1 + random.below(PIECE);
        wires.spawn(forward(near, far, cut.clone(), Open::new(Arc::clone(&open)), piece));
    }
}

/// One connection that is counted.
struct Open(Arc<Mutex<usize>>);

impl Open {
    fn new(open: Arc<Mutex<usize>>) -> Self {
        *open.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

/// Forwards both ways until one side has gone or the wire is cut; then both find it broken.
async fn forward(near: TcpStream, far: TcpStream, mut cut: watch::Receiver<u64>, _open: Open, piece: usize) {
    cut.mark_unchanged();
    for side in [&near, &far] {
        // Small messages are not to wait; and what is on its way at the cut is lost, as it is when a line breaks.
        side.set_nodelay(true).unwrap_or_default();
        rustix::net::sockopt::set_socket_linger(side, Some(Duration::ZERO)).unwrap_or_default();
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = cut.changed() => {}
        () = pump(near_in, far_out, piece) => {}
        () = pump(far_in, near_out, 64 * PIECE) => {}
    }
}

/// Forwards one way until it ends.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, piece: usize) {
    let mut buffer = vec![0; piece];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(buffer.get(..read).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wire_forwards_until_it_is_cut() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let wire = Wire::lay(server.local_addr().expect("bound"), Random::new(1, 1)).await.expect("a wire");
        assert!(!wire.cut(), "nobody is there");
        let mut client = TcpStream::connect(wire.address).await.expect("it takes connections");
        let (mut served, _) = server.accept().await.expect("forwarded");
        client.write_all(b"hello").await.expect("written");
        let mut heard = [0; 5];
        served.read_exact(&mut heard).await.expect("forwarded");
        assert_eq!(&heard, b"hello");
        assert!(wire.cut() && wire.cut_at().is_some());
        assert!(client.read(&mut heard).await.is_ok_and(|read| read == 0) || client.write_all(b"x").await.is_err());
        assert!(!matches!(served.read(&mut heard).await, Ok(1..)));
    }
}
