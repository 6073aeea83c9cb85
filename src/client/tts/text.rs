//! Where a text comes from: the command line, a file or stdin. Of any length, read on a thread of its own as it is
//! wanted, in constant memory.

use crate::{
    client::tts::utf8::Utf8,
    error::{Error, Kind, Result},
};
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
    thread,
};
use tokio::sync::mpsc;

/// Text that one call takes which has it all at once; the server says so too, but not before it has all of it.
pub(super) const MAX_WHOLE: u64 = 256 * 1024;

/// Bytes that are read at once. Pipes give what is there.
const CHUNK: usize = 8 * 1024;

/// What Windows puts in front of a text; it is no part of it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text that is spoken.
pub(super) enum Text {
    /// All of it is here.
    Whole(String),
    /// It is read as it is spoken.
    Flowing(Flow),
}

/// A text that is known to begin.
pub(super) struct Flow {
    chunks: mpsc::Receiver<Result<String>>,
    /// Bytes before its first word, which are not spoken: positions count from the beginning of the file.
    pub(super) skipped: u64,
    /// Its bytes, those included, where it is a file that says so.
    pub(super) length: Option<u64>,
    name: String,
}

/// Where bytes come from.
struct Source {
    bytes: Box<dyn Read + Send>,
    name: String,
    length: Option<u64>,
}

/// A source, read as text.
struct Reader {
    source: Source,
    utf8: Utf8,
    has_ended: bool,
}

/// The text that was named. Blocks until it is known that there is one.
///
/// # Errors
/// What is wrong with it, as far as it is known yet.
pub(super) fn open(text: Option<&str>, file: Option<&Path>, is_ssml: bool) -> Result<Text> {
    match text {
        Some(text) if text != "-" => {
            check(text, "the text")?;
            Ok(Text::Whole(text.to_owned()))
        }
        _ => {
            let source = Source::open(text, file, false)?;
            if is_ssml { whole(source).map(Text::Whole) } else { Flow::begin(source).map(Text::Flowing) }
        }
    }
}

/// The bytes of a file or of stdin, for what is no text to be spoken.
///
/// # Errors
/// `NotFound`, `Io`, `InvalidInput` for a folder, `Config` for a terminal.
pub(super) fn bytes(text: Option<&str>, file: Option<&Path>) -> Result<(Box<dyn Read + Send>, String)> {
    Source::open(text, file, true).map(|source| (source.bytes, source.name))
}

impl Text {
    /// Its bytes, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Text::Whole(text) => Some(text.len() as u64),
            Text::Flowing(flow) => flow.length,
        }
    }

    /// A text that is here, as the calls can take it.
    ///
    /// # Errors
    /// `InvalidInput` for what holds nothing to say, or is no text.
    pub(super) fn of(text: String, is_ssml: bool) -> Result<Self> {
        check(&text, "the text")?;
        if text.len() as u64 <= MAX_WHOLE {
            return Ok(Text::Whole(text));
        }
        if is_ssml {
            return Err(too_long("the document"));
        }
        let length = Some(text.len() as u64);
        let bytes = Box::new(io::Cursor::new(text.into_bytes()));
        Flow::begin(Source { bytes, name: "the text".to_owned(), length }).map(Text::Flowing)
    }
}

impl Source {
    fn open(text: Option<&str>, file: Option<&Path>, is_lines: bool) -> Result<Self> {
        match file {
            Some(path) if path != Path::new("-") => from_file(path),
            None if text.is_none() && io::stdin().is_terminal() => {
                let message = match is_lines {
                    true => "no texts: send lines of JSON to standard input, or give `--file FILE`",
                    false => "nothing to say: give a text, `-` for stdin, or `--file FILE`",
                };
                Err(Error::new(Kind::Config, message))
            }
            _ => Ok(Self { bytes: Box::new(io::stdin()), name: "standard input".to_owned(), length: None }),
        }
    }
}

fn from_file(path: &Path) -> Result<Source> {
    let name = format!("`{}`", path.display());
    let file = open_file(path)?;
    let metadata = file.metadata().map_err(|cause| cannot_read(&name, cause))?;
    let length = metadata.is_file().then_some(metadata.len());
    Ok(Source { bytes: Box::new(file), name, length })
}

fn open_file(path: &Path) -> Result<File> {
    let name = format!("`{}`", path.display());
    if path.is_dir() {
        return Err(Error::invalid(format!("{name} is a folder; name a file in it")));
    }
    File::open(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::NotFound, format!("{name} does not exist")),
        _ => cannot_read(&name, cause),
    })
}

fn cannot_read(name: &str, cause: io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot read {name}")).because(cause)
}

/// All of a file that may have so many bytes, and is text.
///
/// # Errors
/// As for any text, but it may hold nothing.
pub(super) fn small_file(path: &Path, most: u64) -> Result<String> {
    let name = format!("`{}`", path.display());
    let mut bytes = Vec::new();
    open_file(path)?.take(most + 1).read_to_end(&mut bytes).map_err(|cause| cannot_read(&name, cause))?;
    if bytes.len() as u64 > most {
        return Err(Error::invalid(format!("{name} holds more than {most} bytes")));
    }
    let mut utf8 = Utf8::default();
    let text = utf8.push(&bytes).and_then(|text| utf8.finish().map(|()| text)).map_err(|at| no_text(&name, at))?;
    check_zero(&text, &name)?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

/// All of it, but no more than can be spoken at once: the source may be endless.
fn whole(source: Source) -> Result<String> {
    let mut reader = Reader::new(source);
    let mut text = String::new();
    while let Some(chunk) = reader.next()? {
        text.push_str(&chunk);
        if text.len() as u64 > MAX_WHOLE {
            return Err(too_long(&reader.source.name));
        }
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text);
    check(&text, &reader.source.name)?;
    Ok(text)
}

impl Flow {
    /// Reads to the first word, and goes on reading on a thread of its own.
    fn begin(source: Source) -> Result<Self> {
        let (name, length) = (source.name.clone(), source.length);
        let mut reader = Reader::new(source);
        let (mut skipped, mut is_first) = (0, true);
        let first = loop {
            let Some(chunk) = reader.next()? else { return Err(nothing(&name)) };
            let text = chunk.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first).unwrap_or(&chunk).trim_start();
            skipped += (chunk.len() - text.len()) as u64;
            is_first &= chunk.is_empty();
            if !text.is_empty() {
                break text.to_owned();
            }
        };
        // One that is taken, one that waits, one in the reader's hand: no more is read ahead here.
        let (sender, chunks) = mpsc::channel(1);
        let read = move || {
            let mut next = Ok(Some(first));
            while let Some(chunk) = next.transpose() {
                let is_last = chunk.is_err();
                // Where nobody takes it any more, the call has ended, and says itself why.
                if sender.blocking_send(chunk).is_err() || is_last {
                    return;
                }
                next = reader.next();
            }
        };
        thread::Builder::new()
            .name("text".to_owned())
            .spawn(read)
            .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread to read a text").because(cause))?;
        Ok(Self { chunks, skipped, length, name })
    }

    /// The next piece of the text; none at its end. May be dropped while it waits.
    ///
    /// # Errors
    /// `Io`; `InvalidInput` for what is no text.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        self.chunks.recv().await.transpose()
    }

    /// All that is left of it, behind what was read already.
    ///
    /// # Errors
    /// `Unsupported` where it is more than one call takes.
    pub(super) async fn all(mut self, mut text: String) -> Result<String> {
        while text.len() as u64 <= MAX_WHOLE {
            let Some(chunk) = self.next().await? else { return Ok(text) };
            text.push_str(&chunk);
        }
        let message = format!(
            "{} holds more than {MAX_WHOLE} bytes, and the server is of an earlier version, which takes no more; \
             speak it in parts, or update the server",
            self.name
        );
        Err(Error::new(Kind::Unsupported, message))
    }
}

impl Reader {
    fn new(source: Source) -> Self {
        Self { source, utf8: Utf8::default(), has_ended: false }
    }

    /// What is there of the text, at most [`CHUNK`] bytes of it, and a character; none at its end.
    fn next(&mut self) -> Result<Option<String>> {
        if self.has_ended {
            return Ok(None);
        }
        let name = &self.source.name;
        let mut bytes = [0; CHUNK];
        let count = loop {
            match self.source.bytes.read(&mut bytes) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|cause| cannot_read(name, cause))?,
            }
        };
        if count == 0 {
            self.has_ended = true;
            return self.utf8.finish().map(|()| None).map_err(|at| no_text(name, at));
        }
        let text = self.utf8.push(&bytes[..count]).map_err(|at| no_text(name, at))?;
        check_zero(&text, name)?;
        Ok(Some(text))
    }
}

fn check(text: &str, name: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(nothing(name));
    }
    check_zero(text, name)
}

fn check_zero(text: &str, name: &str) -> Result<()> {
    if text.contains('\0') { Err(Error::invalid(format!("{name} holds a NUL byte; is it text?"))) } else { Ok(()) }
}

fn nothing(name: &str) -> Error {
    Error::invalid(format!("{name} holds nothing to say"))
}

fn no_text(name: &str, at: u64) -> Error {
    Error::invalid(format!("{name} is not UTF-8 text: byte {at} is wrong; convert it with iconv"))
}

fn too_long(name: &str) -> Error {
    let message = format!("{name} holds more than {MAX_WHOLE} bytes, which is the most for SSML; speak it in parts");
    Error::invalid(message)
}

#[cfg(test)]
impl Flow {
    /// A text that somebody else reads.
    pub(super) fn of(bytes: impl Read + Send + 'static) -> Self {
        Self::begin(Source { bytes: Box::new(bytes), name: "`x`".to_owned(), length: None }).expect("a text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(bytes: &'static [u8]) -> Result<Flow> {
        Flow::begin(Source { bytes: Box::new(bytes), name: "`x`".to_owned(), length: None })
    }

    async fn read(bytes: &'static [u8]) -> Result<(u64, String)> {
        let mut flow = flow(bytes)?;
        let mut text = String::new();
        while let Some(chunk) = flow.next().await? {
            text.push_str(&chunk);
        }
        Ok((flow.skipped, text))
    }

    #[tokio::test]
    async fn what_stands_before_the_first_word_is_skipped_and_counted() {
        let cases: [(&[u8], u64, &str); 3] =
            [(b"a b ", 0, "a b "), ("\u{feff} \n\u{2003}ü".as_bytes(), 8, "ü"), (b"\n\nx\n", 2, "x\n")];
        for (bytes, skipped, text) in cases {
            assert_eq!(read(bytes).await.expect("a text"), (skipped, text.to_owned()));
        }
        // Only the first one is no text.
        assert_eq!(read("\u{feff}\u{feff}a".as_bytes()).await.expect("a text"), (3, "\u{feff}a".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_text_is_told() {
        for (bytes, told) in [
            (&b""[..], "`x` holds nothing to say"),
            (b" \n", "`x` holds nothing to say"),
            (b"caf\xe9", "`x` is not UTF-8 text: byte 4 is wrong; convert it with iconv"),
            (b"a\0", "`x` holds a NUL byte; is it text?"),
        ] {
            assert_eq!(read(bytes).await.expect_err("no text").to_string(), told);
        }
    }

    #[tokio::test]
    async fn a_reader_that_nobody_waits_for_reads_no_further() {
        /// Counts what is read of it, and never ends.
        struct Endless(std::sync::Arc<std::sync::atomic::AtomicUsize>);

        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                buffer.fill(b'a');
                Ok(buffer.len())
            }
        }

        let reads = std::sync::Arc::default();
        let bytes = Box::new(Endless(std::sync::Arc::clone(&reads)));
        let mut flow = Flow::begin(Source { bytes, name: String::new(), length: None }).expect("a text");
        for taken in 1..20 {
            let chunk = flow.next().await.expect("text").expect("more");
            assert_eq!(chunk.len(), CHUNK);
            assert!(reads.load(std::sync::atomic::Ordering::SeqCst) <= taken + 2);
        }
        let error = flow.all(String::new()).await.expect_err("it is endless");
        assert_eq!(error.kind(), Kind::Unsupported);
    }
}
