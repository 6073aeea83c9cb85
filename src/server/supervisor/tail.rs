//! The last lines that a process wrote. Everything is read from the start, so that it never waits for us to listen.

use std::{collections::VecDeque, future::poll_fn, io, pin::Pin, task::Poll};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};

/// Lines that are kept.
const LINES: usize = 20;

/// Bytes of a line that are kept.
const LINE: usize = 200;

/// The end of what was written to some pipes.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pipes: Vec<Pipe>,
    lines: VecDeque<String>,
}

struct Pipe {
    reader: BufReader<Pin<Box<dyn AsyncRead + Send + Sync>>>,
    /// A line that has not ended yet.
    line: Vec<u8>,
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipe").field("line", &self.line).finish_non_exhaustive()
    }
}

impl Tail {
    /// Reads from one pipe more.
    pub(super) fn add(&mut self, pipe: impl AsyncRead + Send + Sync + 'static) {
        let pipe: Pin<Box<dyn AsyncRead + Send + Sync>> = Box::pin(pipe);
        self.pipes.push(Pipe { reader: BufReader::with_capacity(64 * 1024, pipe), line: Vec::new() });
    }

    /// Whether more may come.
    pub(super) fn is_open(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// Reads some more, from whichever pipe has something. Safe to drop at any time.
    pub(super) async fn read(&mut self) {
        if self.pipes.is_empty() {
            return;
        }
        let (index, read) = poll_fn(|context| {
            for (index, pipe) in self.pipes.iter_mut().enumerate() {
                if let Poll::Ready(read) = Pin::new(&mut pipe.reader).poll_fill_buf(context) {
                    return Poll::Ready((index, read.map(<[u8]>::to_vec)));
                }
            }
            Poll::Pending
        })
        .await;
        self.take(index, read);
    }

    fn take(&mut self, index: usize, read: io::Result<Vec<u8>>) {
        let bytes = match read {
            Ok(bytes) if !bytes.is_empty() => bytes,
            // Closed, or broken, which is as good.
            _ => {
                let pipe = self.pipes.swap_remove(index);
                return self.push(&pipe.line);
            }
        };
        let Some(pipe) = self.pipes.get_mut(index) else { return };
        pipe.reader.consume(bytes.len());
        let mut line = std::mem::take(&mut pipe.line);
        for byte in bytes {
            if byte == b'\n' {
                self.push(&line);
                line.clear();
            } else if line.len() < LINE {
                line.push(byte);
            }
        }
        if let Some(pipe) = self.pipes.get_mut(index) {
            pipe.line = line;
        }
    }

    /// The lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }

    /// Takes a line that came another way.
    pub(super) fn push(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line.get(..LINE).unwrap_or(line)).trim().to_owned();
        if line.is_empty() {
            return;
        }
        tracing::debug!(target: "worker", "{line}");
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_of_all_pipes_are_kept() {
        let long = format!("{}\n", "x".repeat(1_000));
        let first: Vec<u8> = (0..50).map(|n| format!("line {n}\n")).chain([long]).collect::<String>().into_bytes();
        let mut tail = Tail::default();
        tail.add(std::io::Cursor::new(first));
        tail.add(&b"and no end"[..]);
        while tail.is_open() {
            tail.read().await;
        }
        let lines = tail.into_lines();
        assert_eq!(lines.len(), LINES);
        assert!(lines.contains(&"line 49".to_owned()) && lines.contains(&"and no end".to_owned()));
        assert!(lines.iter().all(|line| line.len() <= LINE));
    }
}
