//! Where the sound of a session goes: into one file, or to a loudspeaker.

use super::{args::Args, call::RATE};
use crate::{
    audio::{bytes_to_i16, encode::Container, to_f32},
    client::{
        Context, json,
        output::Output,
        speaker::{self, Speaker},
        tts::{Sink, format_of},
    },
    error::{Error, Kind, Result},
};
use std::{
    io::{self, IsTerminal},
    path::Path,
    pin::Pin,
};

/// Waits until a loudspeaker has played all.
type Playing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Takes sound.
pub(super) struct Mouth {
    place: Place,
    /// Samples that were taken.
    samples: u64,
}

enum Place {
    File { sink: Box<Sink>, container: Container },
    Aloud(Box<Aloud>),
}

/// A loudspeaker. It plays while something is said, and is let go of in between.
struct Aloud {
    device: Option<String>,
    speaker: Option<Speaker>,
    playing: Option<Playing>,
}

impl Mouth {
    /// As the flags want it.
    ///
    /// # Errors
    /// What is wrong with the file, or with the loudspeaker.
    pub(super) async fn open(args: &Args, context: &Context) -> Result<Self> {
        let Some(path) = args.output.clone() else {
            let device = args.device.clone();
            // One that is missing is known before anything is typed.
            speaker::find(device.as_deref()).await?;
            let aloud = Box::new(Aloud { device, speaker: None, playing: None });
            return Ok(Self { place: Place::Aloud(aloud), samples: 0 });
        };
        let container = container(args, &path)?;
        let (output, is_json) = (context.output, args.connect.json);
        // It may be a pipe that waits for its reader.
        let sink = context.on_thread(move || open_sink(&path, container, is_json, output)).await?;
        Ok(Self { place: Place::File { sink: Box::new(sink), container }, samples: 0 })
    }

    /// Takes sound: 16 bits little-endian.
    ///
    /// # Errors
    /// What is wrong with the file, or with the loudspeaker.
    pub(super) async fn say(&mut self, audio: &[u8]) -> Result<()> {
        match &mut self.place {
            Place::File { sink, container: Container::Floats } => sink.write(&floats(audio))?,
            Place::File { sink, .. } => sink.write(audio)?,
            Place::Aloud(aloud) => aloud.say(audio).await?,
        }
        self.samples += audio.len() as u64 / 2;
        Ok(())
    }

    /// Waits until all that was taken is heard. May be dropped while it waits, and asked again.
    ///
    /// # Errors
    /// What is wrong with the loudspeaker.
    pub(super) async fn play_out(&mut self) -> Result<()> {
        match &mut self.place {
            Place::File { .. } => Ok(()),
            Place::Aloud(aloud) => aloud.play_out().await,
        }
    }

    /// Is silent at once.
    pub(super) fn hush(&mut self) {
        if let Place::Aloud(aloud) = &mut self.place {
            (aloud.speaker, aloud.playing) = (None, None);
        }
    }

    /// Samples that were taken.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// How long that is, in seconds, to the millisecond.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.samples)
    }

    /// No more will come: a file is whole now, and takes its place.
    ///
    /// # Errors
    /// `Io`; then what was there before is there still.
    pub(super) fn finish(self) -> Result<()> {
        match self.place {
            Place::File { sink, .. } => sink.finish(),
            Place::Aloud(_) => Ok(()),
        }
    }
}

impl Aloud {
    async fn say(&mut self, audio: &[u8]) -> Result<()> {
        let speaker = match &mut self.speaker {
            Some(speaker) => speaker,
            None => {
                let found = speaker::find(self.device.as_deref()).await?;
                self.speaker.insert(found.begin(RATE).await?)
            }
        };
        speaker.write(&bytes_to_i16(audio)).await
    }

    async fn play_out(&mut self) -> Result<()> {
        // A drain that is given up could not be asked for again, so it is kept.
        if let Some(mut speaker) = self.speaker.take() {
            self.playing = Some(Box::pin(async move { speaker.drain().await }));
        }
        let Some(playing) = &mut self.playing else { return Ok(()) };
        let heard = playing.await;
        self.playing = None;
        heard
    }
}

/// How long so many samples are, in seconds, to the millisecond.
pub(super) fn seconds(samples: u64) -> f64 {
    json::rounded(samples as f64 / f64::from(RATE))
}

/// What the file is written as.
fn container(args: &Args, path: &Path) -> Result<Container> {
    Ok(match Container::from(format_of(args.format, path)?) {
        // One may talk for a day. Who reads a stream does not need to know.
        Container::Wav if path != Path::new("-") => Container::LongWav,
        other => other,
    })
}

fn open_sink(path: &Path, container: Container, is_json: bool, output: Output) -> Result<Sink> {
    let refuse = |message: &str| Err(Error::new(Kind::Config, message));
    let mut sink = Sink::open(path, container, output)?;
    if sink.is_stdout() && is_json {
        return refuse("`--json` and `-o -` both want standard output; give a file");
    }
    if sink.is_stdout() && io::stdout().is_terminal() {
        return refuse("standard output is a terminal, which cannot play audio; give `-o FILE`, or leave it out");
    }
    sink.begin(RATE)?;
    Ok(sink)
}

/// Samples of 16 bits as 32-bit floats, little-endian.
fn floats(audio: &[u8]) -> Vec<u8> {
    bytes_to_i16(audio).into_iter().flat_map(|sample| to_f32(sample).to_le_bytes()).collect()
}
