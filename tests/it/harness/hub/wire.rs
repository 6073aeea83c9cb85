//! Requests from a socket, and answers onto it, byte by byte.

use super::{
    Asked, Fault, Held, PATIENCE, Shared, answer,
    answer::{Answer, Reply},
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::atomic::Ordering,
    thread,
    time::Duration,
};

/// So much is written at once.
const PIECE: usize = 16 << 10;

/// A connection, with TLS or without.
pub(super) trait Wire: Read + Write {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// Answers all requests of a connection. Whoever talks nonsense or goes away is left.
pub(super) fn converse(shared: &Shared, is_store: bool, stream: TcpStream) {
    if stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_nodelay(true)).is_err() {
        return;
    }
    let wire: Box<dyn Wire> = match &shared.tls {
        Some(tls) => match tls.accept(stream) {
            Some(wire) => wire,
            None => return,
        },
        None => Box::new(stream),
    };
    let mut wire = BufReader::new(wire);
    while let Ok(Some((method, target, headers))) = request(&mut wire) {
        let (at, file, revision, repository) = answer::read(is_store, &method, &target);
        let asked = Asked { at, file, revision, method, target, headers };
        let reply = {
            let mut state = shared.state();
            let reply = answer::to(shared, &mut state, is_store, &asked, &repository);
            state.log.push(asked.clone());
            reply
        };
        shared.changed.notify_all();
        let goes_on = match reply {
            Reply::Answer(answer) => send(shared, &asked, answer, wire.get_mut().as_mut()).is_ok(),
            Reply::HangUp => false,
            Reply::Mute => {
                until_left(wire.get_mut().as_mut());
                false
            }
        };
        if !goes_on {
            break;
        }
    }
}

type Request = (String, String, BTreeMap<String, String>);

fn request(wire: &mut BufReader<Box<dyn Wire>>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    wire.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => drop(headers.insert(name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok(Some((method, target, headers))),
        }
    }
}

fn send(shared: &Shared, asked: &Asked, answer: Answer, wire: &mut dyn Wire) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} As told\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method == "HEAD" { wire.flush() } else { send_body(shared, &asked.file, answer, wire) }
}

/// Sends a body, and stops where it is to stop.
fn send_body(shared: &Shared, file: &str, answer: Answer, wire: &mut dyn Wire) -> io::Result<()> {
    let Answer { body, from, fault, .. } = answer;
    let end = from + body.len();
    let (stop, piece, pause) = match &fault {
        Some(Fault::CutAt(byte) | Fault::ResetAt(byte) | Fault::StallAt(byte)) => (*byte, PIECE, None),
        Some(Fault::Trickle(piece, pause)) => (usize::MAX, *piece, Some(*pause)),
        _ => (usize::MAX, PIECE, None),
    };
    let mut here = from;
    loop {
        wire.flush()?;
        if hold(shared, file, here) && has_left(wire.socket()) {
            // Nobody is there any more: the next hold is for somebody else.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if here >= stop {
            return stopped(fault.as_ref(), wire);
        }
        if here >= end {
            return Ok(());
        }
        let next = shared.state().pauses.iter().filter(|held| held.waits_for(file, here)).map(|held| held.byte).min();
        let to = end.min(here + piece).min(stop).min(next.unwrap_or(usize::MAX));
        wire.write_all(&body[here - from..to - from])?;
        here = to;
        if let Some(pause) = pause {
            // The time itself is the fault.
            thread::sleep(pause);
        }
    }
}

impl Held {
    /// Whether a body of this file, which is at this byte, will come to it.
    fn waits_for(&self, file: &str, here: usize) -> bool {
        self.file == file && !self.is_reached && self.byte > here
    }
}

/// Waits where a body is held. Whether it was.
fn hold(shared: &Shared, file: &str, here: usize) -> bool {
    let which = {
        let mut state = shared.state();
        let is_here = |held: &Held| held.file == file && !held.is_reached && held.byte == here;
        let Some(which) = state.pauses.iter().position(is_here) else { return false };
        state.pauses[which].is_reached = true;
        which
    };
    shared.changed.notify_all();
    // Who holds it for longer than anybody waits has failed by then.
    shared.wait_until(|state| state.pauses[which].is_released || shared.is_over.load(Ordering::SeqCst))
}

/// Whether the other one has closed the connection.
fn has_left(socket: &TcpStream) -> bool {
    let heard = socket.set_nonblocking(true).and_then(|()| socket.peek(&mut [0]));
    let is_open = matches!(&heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).is_err() || !(is_open || heard.is_ok_and(|length| length > 0))
}

/// The end of a body that ends too early.
fn stopped(fault: Option<&Fault>, wire: &mut dyn Wire) -> io::Result<()> {
    match fault {
        Some(Fault::StallAt(_)) => until_left(wire),
        Some(Fault::ResetAt(_)) => {
            rustix::net::sockopt::set_socket_linger(wire.socket(), Some(Duration::ZERO))?;
        }
        _ => wire.socket().shutdown(Shutdown::Write)?,
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Says nothing until the other one goes.
fn until_left(wire: &mut dyn Wire) {
    let mut socket = wire.socket();
    let mut unheard = [0; 1024];
    while matches!(socket.read(&mut unheard), Ok(1..)) {}
}
