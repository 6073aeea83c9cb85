//! Lines of bytes, read as they are wanted, on a thread of their own. No line takes more memory than it may.

use crate::error::{Error, Kind, Result};
use std::{
    io::{self, BufRead, BufReader, Read},
    thread,
};
use tokio::sync::mpsc;

/// The longest line, in bytes.
const LONGEST: usize = 1024 * 1024;

/// A line, or what is wrong with it. Counted from 1; those that are empty count too.
pub(crate) type Line = (u64, Result<Vec<u8>>);

/// Lines on their way.
pub(crate) struct Lines(mpsc::Receiver<Result<Line>>);

impl Lines {
    /// Begins to read what has this name.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(crate) fn open((source, name): (Box<dyn Read + Send>, String)) -> Result<Self> {
        // A line that waits, beside the one that is in work: more would be read ahead of results that decide about it.
        let (sender, lines) = mpsc::channel(1);
        let read = move || {
            let mut source = BufReader::new(source);
            let mut number = 0;
            while let Some(line) = next(&mut source, &mut number, &name).transpose() {
                // Who types ends a line so, and the input with it: another look would wait for more.
                let has_no_end = |line: &Line| line.1.as_ref().is_ok_and(|line| !line.ends_with(b"\n"));
                let is_last = line.as_ref().map_or(true, has_no_end);
                if sender.blocking_send(line).is_err() || is_last {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("lines".to_owned())
            .spawn(read)
            .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread to read lines").because(cause))?;
        Ok(Self(lines))
    }

    /// The next line, also an empty one; none at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) async fn any(&mut self) -> Result<Option<Line>> {
        self.0.recv().await.transpose()
    }

    /// The next line that is not empty; none at the end.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>> {
        while let Some(line) = self.any().await? {
            if !is_empty(&line) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

fn is_empty((_, line): &Line) -> bool {
    line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty())
}

fn next(source: &mut impl BufRead, number: &mut u64, name: &str) -> Result<Option<Line>> {
    let cannot_read = |cause: io::Error| Error::new(Kind::Io, format!("cannot read {name}")).because(cause);
    let mut line = Vec::new();
    let most = LONGEST as u64 + 1;
    if source.by_ref().take(most).read_until(b'\n', &mut line).map_err(cannot_read)? == 0 {
        return Ok(None);
    }
    *number += 1;
    let ends = line.last() == Some(&b'\n');
    if !ends && line.len() > LONGEST {
        skip_line(source).map_err(cannot_read)?;
        let error = Error::invalid(format!("the line is longer than {LONGEST} bytes"));
        return Ok(Some((*number, Err(error))));
    }
    // What Windows puts in front of a file.
    if *number == 1 && line.starts_with(b"\xEF\xBB\xBF") {
        line.drain(..3);
    }
    Ok(Some((*number, Ok(line))))
}

fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let there = match source.fill_buf() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        let end = there.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(there.len(), |at| at + 1);
        source.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal: after each Ctrl-D one may type on.
    struct Typed(Vec<&'static [u8]>);

    impl Read for Typed {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0.is_empty(), "nobody types any more");
            let typed = self.0.remove(0);
            into[..typed.len()].copy_from_slice(typed);
            Ok(typed.len())
        }
    }

    #[tokio::test]
    async fn who_ends_a_line_without_its_end_has_ended_the_input() {
        let typed = Typed(vec![b"one\ntwo", b""]);
        let mut lines = Lines::open((Box::new(typed), "x".to_owned())).expect("a thread");
        for expected in [&b"one\n"[..], b"two"] {
            let (_, line) = lines.any().await.expect("it can be read").expect("a line");
            assert_eq!(line.expect("it is short"), expected);
        }
        assert!(lines.any().await.expect("it can be read").is_none());
    }

    #[test]
    fn lines_are_counted_and_long_ones_are_skipped() {
        let longest = vec![b'x'; LONGEST];
        let longer = vec![b'y'; 3 * LONGEST];
        let bytes = [b"\xEF\xBB\xBFa\n\n \r\nb\r\n", &longest[..], b"\n", &longest, b"z\n", &longer, b"\nc"].concat();
        let (mut source, mut number, mut lines) = (BufReader::with_capacity(7, &bytes[..]), 0, Vec::new());
        while let Some(line) = next(&mut source, &mut number, "x").expect("it can be read") {
            if !is_empty(&line) {
                lines.push((line.0, line.1.map_err(|error| error.to_string())));
            }
        }
        let long = Err("the line is longer than 1048576 bytes".to_owned());
        let all = [b"\n", &longest[..]].concat();
        let expected = vec![
            (1, Ok(b"a\n".to_vec())),
            (4, Ok(b"b\r\n".to_vec())),
            (5, Ok([&all[1..], b"\n"].concat())),
            (6, long.clone()),
            (7, long),
            (8, Ok(b"c".to_vec())),
        ];
        assert!(lines == expected);
    }
}
