//! Who takes what the server says: the audio, its marks, and the line of progress.

use super::{
    aloud::Aloud,
    marks::{Mark, MarksFile},
    progress::Progress,
    sentences::{Sentence, Sentences},
    sink::Sink,
};
use crate::{
    audio::encode::Container,
    client::{
        json,
        output::{Output, printable, unless_closed},
    },
    error::{Error, Kind, Result},
    proto::v1::{AudioFormat, OutputEncoding},
    speech::MarkKind,
};

/// Where audio goes.
pub(super) enum Outlet {
    /// One file or stream.
    One(Box<Sink>),
    /// A file for each sentence.
    Sentences(Box<Sentences>),
    /// A loudspeaker.
    Aloud(Box<Aloud>),
}

/// What becomes of sentences that have their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// A line each.
    Lines,
    /// They are told at the end.
    AtOnce,
}

/// Takes all of it.
pub(super) struct Listener {
    outlet: Outlet,
    container: Container,
    marks: Option<MarksFile>,
    pub(super) progress: Progress,
    telling: Telling,
    output: Output,
    spoken: Spoken,
}

/// What was spoken.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    pub(super) voice: String,
    /// Hz; 0 before it is known.
    pub(super) sample_rate: u32,
    pub(super) samples: u64,
    /// How many sentences have a file.
    pub(super) files: usize,
    /// They, where they are told at the end.
    pub(super) sentences: Vec<Sentence>,
}

impl Outlet {
    /// Begins, at a rate in Hz.
    async fn begin(&mut self, rate: u32) -> Result<()> {
        match self {
            Outlet::One(sink) => sink.begin(rate),
            Outlet::Sentences(sentences) => {
                sentences.begin(rate);
                Ok(())
            }
            Outlet::Aloud(aloud) => aloud.begin(rate).await,
        }
    }

    /// Takes samples. Nothing more is read from the server before this is done: what plays them waits here until it has
    /// room.
    async fn write(&mut self, samples: &[u8]) -> Result<()> {
        match self {
            Outlet::One(sink) => sink.write(samples),
            Outlet::Sentences(sentences) => sentences.write(samples),
            Outlet::Aloud(aloud) => aloud.write(samples).await,
        }
    }

    /// Sentences that have their file since this was asked last.
    fn take_told(&mut self) -> Vec<Sentence> {
        match self {
            Outlet::One(_) | Outlet::Aloud(_) => Vec::new(),
            Outlet::Sentences(sentences) => sentences.take_told(),
        }
    }

    /// All is spoken.
    async fn finish(self) -> Result<Vec<Sentence>> {
        match self {
            Outlet::One(sink) => sink.finish().map(|()| Vec::new()),
            Outlet::Sentences(mut sentences) => sentences.finish().map(|()| sentences.take_told()),
            Outlet::Aloud(aloud) => aloud.finish().await.map(|()| Vec::new()),
        }
    }
}

impl Listener {
    /// For audio as this container takes it.
    pub(super) fn new(
        (outlet, container): (Outlet, Container),
        marks: Option<MarksFile>,
        telling: Telling,
        progress: Progress,
        output: Output,
    ) -> Self {
        Self { outlet, container, marks, progress, telling, output, spoken: Spoken::default() }
    }

    /// Whether somebody wants to know what marks speak of.
    pub(super) fn wants_marks(&self) -> bool {
        self.marks.is_some() || matches!(self.outlet, Outlet::Sentences(_))
    }

    /// Hears what the audio will be. It must be as it was asked for.
    ///
    /// # Errors
    /// `Internal` for what cannot be, `Unsupported` for another encoding; what the outlet says.
    pub(super) async fn format(&mut self, format: AudioFormat) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(Kind::Internal, message));
        if self.spoken.sample_rate != 0 {
            return wrong("the server announced two formats");
        }
        let Some(rate) = u32::try_from(format.sample_rate_hertz).ok().filter(|rate| *rate > 0) else {
            return wrong("the server announced an impossible rate");
        };
        let is_float = format.encoding() == OutputEncoding::Float32;
        if is_float != (self.container == Container::Floats) {
            let message = "the server does not send the samples that it was asked for; is it as new as this program?";
            return Err(Error::new(Kind::Unsupported, message));
        }
        (self.spoken.voice, self.spoken.sample_rate) = (format.voice, rate);
        self.outlet.begin(rate).await
    }

    /// Hears some audio.
    ///
    /// # Errors
    /// `Internal` where the server breaks its promise; what the outlet says.
    pub(super) async fn audio(&mut self, audio: &[u8]) -> Result<()> {
        self.check_format()?;
        let bytes = self.container.sample_bytes();
        if !audio.len().is_multiple_of(bytes) {
            return Err(Error::new(Kind::Internal, "the server sent a part of a sample"));
        }
        self.outlet.write(audio).await?;
        self.spoken.samples += (audio.len() / bytes) as u64;
        let seconds = self.spoken.seconds();
        self.progress.audio(seconds);
        let told = self.outlet.take_told();
        self.tell(told)
    }

    /// Hears where something begins.
    ///
    /// # Errors
    /// `Internal` where the server breaks its promise; `Io`.
    pub(super) fn mark(&mut self, mark: Mark) -> Result<()> {
        self.check_format()?;
        if let Some(file) = &mut self.marks {
            let rate = self.spoken.sample_rate;
            if file.is_stdout() {
                unless_closed(self.progress.beside(|| file.write(&mark, rate)))?;
            } else {
                file.write(&mark, rate)?;
            }
        }
        if mark.kind == MarkKind::Sentence {
            self.progress.text(mark.end);
            if let Outlet::Sentences(sentences) = &mut self.outlet {
                sentences.mark(mark);
            }
        }
        Ok(())
    }

    /// How many samples have been heard.
    pub(super) fn samples(&self) -> u64 {
        self.spoken.samples
    }

    /// All is spoken: files take their places.
    ///
    /// # Errors
    /// What the outlet says; `Io`.
    pub(super) async fn finish(mut self) -> Result<Spoken> {
        self.check_format()?;
        self.progress.end();
        // Its place is taken by something that ends at once.
        let told = self.outlet.finish().await?;
        if let Some(marks) = self.marks {
            marks.finish()?;
        }
        let (telling, output) = (self.telling, self.output);
        tell(&mut self.spoken, told, telling, &self.progress, output)?;
        Ok(self.spoken)
    }

    fn check_format(&self) -> Result<()> {
        match self.spoken.sample_rate {
            0 => Err(Error::new(Kind::Internal, "the server sent no format before its audio")),
            _ => Ok(()),
        }
    }

    fn tell(&mut self, told: Vec<Sentence>) -> Result<()> {
        tell(&mut self.spoken, told, self.telling, &self.progress, self.output)
    }
}

/// Tells of sentences that have their file.
fn tell(spoken: &mut Spoken, told: Vec<Sentence>, telling: Telling, progress: &Progress, output: Output) -> Result<()> {
    spoken.files += told.len();
    if telling == Telling::AtOnce {
        spoken.sentences.extend(told);
        return Ok(());
    }
    for sentence in told {
        // One line, whatever is in it: a sentence may go over several.
        let text = sentence.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = format!("{}\t{}", printable(&sentence.output), printable(&text));
        unless_closed(progress.beside(|| output.line(&line)))?;
    }
    Ok(())
}

impl Spoken {
    /// How long it is.
    pub(super) fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The same, to the millisecond.
    pub(super) fn duration(&self) -> f64 {
        json::rounded(self.seconds())
    }
}
