//! A file for each sentence. The silence between two belongs to the end of the earlier one.

use super::{marks::Mark, sink::Sink};
use crate::{
    audio::encode::Container,
    client::{json, output::Output, target},
    error::{Error, Kind, Result},
};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

/// Takes audio, and cuts it where sentences begin.
pub(super) struct Sentences {
    folder: PathBuf,
    container: Container,
    extension: &'static str,
    output: Output,
    rate: u32,
    /// Samples that have come.
    position: u64,
    /// Sentences that begin further on.
    ahead: VecDeque<Mark>,
    /// The file that is being written.
    current: Option<Current>,
    count: u64,
    /// Files that are whole, and were not told of yet.
    told: Vec<Sentence>,
}

struct Current {
    sink: Sink,
    path: PathBuf,
    /// `None` for the silence before the first sentence, whose file it will be.
    text: Option<String>,
    samples: u64,
}

/// A sentence that has its file.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Sentence {
    pub(super) output: String,
    /// Seconds.
    duration: f64,
    pub(super) text: String,
}

impl Sentences {
    /// Makes the folder, if it is missing.
    ///
    /// # Errors
    /// `Io`.
    pub(super) fn open(folder: &Path, container: Container, extension: &'static str, output: Output) -> Result<Self> {
        target::make_folder(folder)?;
        let folder = folder.to_owned();
        let (ahead, told) = (VecDeque::new(), Vec::new());
        Ok(Self { folder, container, extension, output, rate: 0, position: 0, ahead, current: None, count: 0, told })
    }

    /// Begins, at a rate in Hz.
    pub(super) fn begin(&mut self, rate: u32) {
        self.rate = rate;
    }

    /// A sentence begins, here or further on.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.ahead.push_back(mark);
    }

    /// Takes samples, as the container does.
    ///
    /// # Errors
    /// `Io`; `Unsupported` for a rate that the container cannot hold.
    pub(super) fn write(&mut self, mut samples: &[u8]) -> Result<()> {
        while !samples.is_empty() {
            if self.ahead.front().is_some_and(|mark| mark.sample <= self.position)
                && let Some(mark) = self.ahead.pop_front()
            {
                self.next_file(mark.text)?;
                continue;
            }
            let bytes = self.container.sample_bytes();
            let room = self.ahead.front().map_or(u64::MAX, |mark| mark.sample - self.position);
            let taken = usize::try_from(room).unwrap_or(usize::MAX).saturating_mul(bytes).min(samples.len());
            let (now, rest) = samples.split_at(taken);
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.open_file(None)?,
            };
            current.sink.write(now)?;
            current.samples += (now.len() / bytes) as u64;
            self.position += (now.len() / bytes) as u64;
            self.current = Some(current);
            samples = rest;
        }
        Ok(())
    }

    /// Files that have become whole since this was asked last.
    pub(super) fn take_told(&mut self) -> Vec<Sentence> {
        std::mem::take(&mut self.told)
    }

    /// Ends the last file.
    ///
    /// # Errors
    /// `Io`; `Unsupported` where nobody said where sentences begin.
    pub(super) fn finish(&mut self) -> Result<()> {
        while let Some(mark) = self.ahead.pop_front() {
            self.next_file(mark.text)?;
        }
        self.end_file()
    }

    fn next_file(&mut self, text: String) -> Result<()> {
        if let Some(current @ Current { text: None, .. }) = &mut self.current {
            current.text = Some(text);
            return Ok(());
        }
        self.end_file()?;
        self.current = Some(self.open_file(Some(text))?);
        Ok(())
    }

    fn open_file(&mut self, text: Option<String>) -> Result<Current> {
        self.count += 1;
        let path = self.folder.join(file_name(self.count, self.extension));
        let mut sink = Sink::open(&path, self.container, self.output)?;
        sink.begin(self.rate)?;
        Ok(Current { sink, path, text, samples: 0 })
    }

    fn end_file(&mut self) -> Result<()> {
        let Some(Current { sink, path, text, samples }) = self.current.take() else { return Ok(()) };
        let Some(text) = text else {
            let message =
                "the server does not say where sentences begin; it is of an earlier version, or the text is SSML";
            return Err(Error::new(Kind::Unsupported, message));
        };
        sink.finish()?;
        let duration = json::rounded(samples as f64 / f64::from(self.rate.max(1)));
        self.told.push(Sentence { output: path.to_string_lossy().into_owned(), duration, text });
        Ok(())
    }
}

/// The name of a file that has a number: 0001.wav.
pub(super) fn file_name(number: u64, extension: &str) -> String {
    format!("{number:04}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::MarkKind;
    use proptest::{collection::vec, prelude::*};
    use std::fs;

    fn sentence(sample: u64, text: &str) -> Mark {
        Mark { kind: MarkKind::Sentence, sample, start: 0, end: 0, text: text.to_owned() }
    }

    fn sentences(folder: &Path) -> Sentences {
        let output = Output::new(true, 0);
        let mut sentences = Sentences::open(folder, Container::Pcm, "pcm", output).expect("a folder");
        sentences.begin(8_000);
        sentences
    }

    fn files(folder: &Path) -> Vec<Vec<u8>> {
        let mut names: Vec<PathBuf> =
            fs::read_dir(folder).expect("it").map(|entry| entry.expect("one").path()).collect();
        names.sort();
        names.into_iter().map(|path| fs::read(path).expect("it is there")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn files_begin_where_sentences_do_however_the_audio_comes(
            lengths in vec(0..30_u64, 1..6),
            lead in 0..5_u64,
            early in 0..40_u64,
            chunk in 1..20_usize,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut sentences = sentences(folder.path());
            let total = lead + lengths.iter().sum::<u64>();
            let starts: Vec<u64> = lengths.iter().scan(lead, |at, length| {
                *at += length;
                Some(*at - length)
            }).collect();
            let audio: Vec<u8> = (0..total).flat_map(|at| (at as u16).to_le_bytes()).collect();
            let (mut marks, mut at) = (starts.iter().enumerate().peekable(), 0);
            for piece in audio.chunks(chunk * 2) {
                // Marks come before the audio that they speak of, some long before.
                let end = at + piece.len() as u64 / 2 + early;
                while let Some((number, start)) = marks.next_if(|(_, start)| **start < end) {
                    sentences.mark(sentence(*start, &number.to_string()));
                }
                sentences.write(piece).expect("it is written");
                at += piece.len() as u64 / 2;
            }
            marks.for_each(|(number, start)| sentences.mark(sentence(*start, &number.to_string())));
            sentences.finish().expect("it ends");
            let mut expected = Vec::new();
            for (number, start) in starts.iter().enumerate() {
                let from = if number == 0 { 0 } else { *start };
                let to = starts.get(number + 1).copied().unwrap_or(total);
                expected.push(audio[from as usize * 2..to as usize * 2].to_vec());
            }
            prop_assert_eq!(files(folder.path()), expected);
            let told = sentences.take_told();
            let texts: Vec<String> = told.iter().map(|sentence| sentence.text.clone()).collect();
            prop_assert_eq!(texts, (0..lengths.len()).map(|number| number.to_string()).collect::<Vec<_>>());
            prop_assert!(told[0].output.ends_with("/0001.pcm"));
        }
    }

    #[test]
    fn audio_without_sentences_becomes_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sentences = sentences(folder.path());
        sentences.write(&[1, 2, 3, 4]).expect("it is written");
        assert_eq!(sentences.finish().expect_err("nobody marks").kind(), Kind::Unsupported);
        drop(sentences);
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn numbers_have_four_digits_or_more() {
        assert_eq!([1, 9_999, 10_000].map(|number| file_name(number, "wav")), ["0001.wav", "9999.wav", "10000.wav"]);
    }
}
