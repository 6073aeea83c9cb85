//! A Piper voice, loaded and checked: ids in, audio out.

use super::{
    graph::{Anatomy, Cuts, anatomy},
    limiter::gain_for,
    onnx::Graph,
    part::{Part, missing_operation},
    plan::{Inputs, Plan, Planner, Sentence, all_finite, durations_of, only},
    section::{Desk, Latents, Section, Which},
};
use crate::{
    error::{Error, Kind, Result},
    models::voice_config::Config,
};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// No voice is nearly as large (the largest are 130 MB); a file beyond this is something else.
const MAX_BYTES: u64 = 2 << 30;

/// Columns of the flow and of the decoder for a speaker.
pub(super) type Columns = Arc<[Vec<Vec<f32>>; 2]>;

/// A voice.
#[derive(Debug)]
pub(super) struct Voice {
    /// What its configuration says.
    pub(super) config: Config,
    /// What its owner should know.
    pub(super) warnings: Vec<String>,
    way: Way,
    speakers: bool,
    gains: Mutex<HashMap<Option<u32>, f32>>,
    columns: Mutex<HashMap<Option<u32>, Columns>>,
}

/// How it is spoken.
#[derive(Debug)]
enum Way {
    /// In windows of time.
    Windows(Box<Windows>),
    /// Sentence by sentence, by rten alone; whether durations come out too.
    Whole(Box<Part>, bool),
}

#[derive(Debug)]
struct Windows {
    planner: Planner,
    flow: Section,
    decoder: Section,
    cuts: Cuts,
}

impl Voice {
    /// Loads the voice at `path`, and tries it out.
    ///
    /// # Errors
    /// `NotFound` when it or its configuration is not there, `InvalidInput` when either is broken, `Unsupported` when it
    /// is another kind of voice, `Internal` when it makes no audio.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let config = Config::beside(path)?;
        let at = |error: Error| error.context(path.display());
        let graph = Graph::read(open(path)?).map_err(at)?;
        Self::build(config, &graph).map_err(at)
    }

    fn build(config: Config, graph: &Graph) -> Result<Self> {
        let mut anatomy = anatomy(graph)?;
        if let Some(operation) = missing_operation(graph) {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the voice needs the operation {operation:?}, which no Piper voice known here has"),
            ));
        }
        if config.speakers > 1 && !anatomy.speakers {
            return Err(Error::invalid("the configuration names several speakers, but the voice has one"));
        }
        let last = config.phoneme_ids.values().flatten().max();
        if let Some((last, symbols)) = last.copied().zip(symbols(graph))
            && last as usize >= symbols
        {
            let message = format!(
                "the configuration gives a phoneme the id {last}, but the voice knows 0 to {}",
                symbols.saturating_sub(1)
            );
            return Err(Error::invalid(message));
        }
        if let Some(cuts) = &anatomy.cuts
            && cuts.hop != config.hop
        {
            return Err(Error::invalid(format!(
                "hop_length is {}, but the voice makes {} samples a frame",
                config.hop, cuts.hop
            )));
        }
        let mut desk = Desk::new();
        let phrase = phrase(&config, anatomy.speakers);
        let windows = match &anatomy.cuts {
            Some(cuts) => windows(graph, &anatomy, cuts, &phrase, &mut desk),
            None => Err(None),
        };
        let (way, peak) = match windows {
            Ok((windows, peak, warning)) => {
                anatomy.warnings.extend(warning);
                (Way::Windows(Box::new(windows)), Some(peak))
            }
            Err(why) => {
                if let Some(why) = why {
                    anatomy.warnings.extend([
                        format!("speech comes by whole sentences, since the voice cannot be cut: {why}"),
                        "the seed has no effect: the noise cannot be given".to_owned(),
                    ]);
                }
                let durations = anatomy.durations.as_deref();
                let made: Vec<&str> = std::iter::once(anatomy.output.as_str()).chain(durations).collect();
                (Way::Whole(Box::new(Part::load(graph, &[], &made)?), durations.is_some()), None)
            }
        };
        let speakers = anatomy.speakers;
        let voice = Self {
            config,
            warnings: anatomy.warnings,
            way,
            speakers,
            gains: Mutex::default(),
            columns: Mutex::default(),
        };
        if let Some(peak) = peak {
            voice.gains.lock().unwrap_or_else(PoisonError::into_inner).insert(phrase.speaker, gain_for(peak));
        } else {
            voice.gain(phrase.speaker, &mut desk)?;
        }
        Ok(voice)
    }

    /// Whether audio comes before a sentence is made to its end.
    pub(super) fn streams(&self) -> bool {
        matches!(self.way, Way::Windows(_))
    }

    /// Who speaks when a line names `speaker` or nobody; always none in voices of one speaker.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such speaker.
    pub(super) fn speaker(&self, speaker: Option<u32>) -> Result<Option<u32>> {
        match speaker {
            Some(speaker) if speaker >= self.config.speakers => {
                let last = self.config.speakers - 1;
                Err(Error::invalid(format!("there is no speaker {speaker}: the voice has 0 to {last}"))
                    .in_field("speaker"))
            }
            _ => Ok(self.speakers.then(|| speaker.unwrap_or(self.config.default_speaker))),
        }
    }

    /// The gain for a speaker, found out with a phrase the first time.
    ///
    /// # Errors
    /// `Internal` when the voice fails.
    pub(super) fn gain(&self, speaker: Option<u32>, desk: &mut Desk) -> Result<f32> {
        if let Some(&gain) = self.gains.lock().unwrap_or_else(PoisonError::into_inner).get(&speaker) {
            return Ok(gain);
        }
        let sentence = Sentence { speaker, ..phrase(&self.config, self.speakers) };
        let samples = match &self.way {
            Way::Whole(..) => self.whole(&sentence, desk)?.0,
            Way::Windows(windows) => {
                let plan = windows.planner.plan(&sentence, &desk.pool)?;
                windows.speak(&plan, &(0..plan.frames), speaker, &*self.columns(speaker, desk)?, desk)?
            }
        };
        let gain = gain_for(peak(&samples));
        self.gains.lock().unwrap_or_else(PoisonError::into_inner).insert(speaker, gain);
        Ok(gain)
    }

    /// What depends on the speaker alone, for the flow and for the decoder.
    ///
    /// # Errors
    /// `Internal` when the voice fails.
    pub(super) fn columns(&self, speaker: Option<u32>, desk: &Desk) -> Result<Columns> {
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner).get(&speaker).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let columns = match &self.way {
            Way::Whole(..) => Columns::default(),
            Way::Windows(windows) => {
                Arc::new([windows.flow.columns(speaker, desk)?, windows.decoder.columns(speaker, desk)?])
            }
        };
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).insert(speaker, columns.clone());
        Ok(columns)
    }

    /// Lays a sentence out; in a voice that does not stream, its latents are already its samples.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub(super) fn plan(&self, sentence: &Sentence, desk: &mut Desk) -> Result<Plan> {
        match &self.way {
            Way::Windows(windows) => {
                let plan = windows.planner.plan(sentence, &desk.pool)?;
                all_finite(&plan.latents)?;
                Ok(plan)
            }
            Way::Whole(..) => {
                let (samples, durations) = self.whole(sentence, desk)?;
                Ok(Plan { durations, frames: samples.len() / self.config.hop, latents: samples })
            }
        }
    }

    /// A whole sentence by rten alone, and the frames of each id where that is known.
    fn whole(&self, sentence: &Sentence, desk: &Desk) -> Result<(Vec<f32>, Vec<usize>)> {
        let Way::Whole(part, durations) = &self.way else { return Ok(Default::default()) };
        let inputs = Inputs::new(sentence);
        let mut known = Vec::new();
        if *durations {
            // Before rten makes audio that no memory can hold.
            let made = part.run(|name| inputs.give(name), &[1], &desk.pool)?;
            known = durations_of(only(made)?, sentence.ids.len())?;
        }
        let samples = only(part.run(|name| inputs.give(name), &[0], &desk.pool)?)?;
        all_finite(&samples)?;
        Ok((samples, known))
    }

    /// The flow or the decoder; none in a voice that does not stream.
    pub(super) fn section(&self, which: Which) -> Option<&Section> {
        match (&self.way, which) {
            (Way::Whole(..), _) => None,
            (Way::Windows(windows), Which::Flow) => Some(&windows.flow),
            (Way::Windows(windows), Which::Decoder) => Some(&windows.decoder),
        }
    }

    /// Channels of the latents.
    pub(super) fn channels(&self) -> usize {
        match &self.way {
            Way::Whole(..) => 1,
            Way::Windows(windows) => windows.cuts.channels,
        }
    }
}

impl Windows {
    /// Speaks a window of a plan, from its flow on.
    fn speak(
        &self,
        plan: &Plan,
        window: &Range<usize>,
        speaker: Option<u32>,
        [flow, decoder]: &[Vec<Vec<f32>>; 2],
        desk: &mut Desk,
    ) -> Result<Vec<f32>> {
        let needs = self.decoder.needs(window, plan.frames);
        let latents = Latents { data: &plan.latents, first: 0, frames: plan.frames };
        let flowed = self.flow.run(latents, &needs, (speaker, flow), desk)?;
        let latents = Latents { data: &flowed, first: needs.start, frames: plan.frames };
        let samples = self.decoder.run(latents, window, (speaker, decoder), desk)?;
        all_finite(&samples)?;
        Ok(samples)
    }
}

/// Opens a voice's file.
fn open(path: &Path) -> Result<File> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, format!("there is no voice {}", path.display())),
        _ => Error::new(Kind::Io, format!("cannot read the voice {}", path.display())).because(error),
    };
    // Before it is opened: a pipe would keep us waiting.
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        return Err(Error::invalid(format!("{} is no file, so it is no Piper voice", path.display())));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Error::invalid(format!("{} is larger than 2 GiB, so it is no Piper voice", path.display())));
    }
    File::open(path).map_err(cannot)
}

/// How many phonemes a voice knows: rows of the table in which it looks up its input, where that is found.
fn symbols(graph: &Graph) -> Option<usize> {
    let table = graph.users("input").find(|node| node.op == "Gather" && node.input(1) == "input")?.input(0);
    graph.weight_shape(table)?.first().copied()
}

/// A short phrase that any voice can say, without noise.
fn phrase(config: &Config, speakers: bool) -> Sentence {
    let ids = |key: &str| config.phoneme_ids.get(key).into_iter().flatten().map(|&id| id.cast_signed());
    let known = ["a", "s", "o", "n", "i", "m"].into_iter().filter(|key| config.phoneme_ids.contains_key(*key));
    let mut sounds: Vec<&str> = known.collect();
    if sounds.len() < 3 {
        let others: BTreeMap<_, _> =
            config.phoneme_ids.iter().filter(|(key, _)| !"^$_ ".contains(key.as_str())).collect();
        sounds = others.into_keys().map(String::as_str).take(6).collect();
    }
    let mut line: Vec<i32> = ids("^").chain(ids("_")).collect();
    for sound in sounds {
        line.extend(ids(sound).chain(ids("_")));
    }
    line.extend(ids("$"));
    let scales = crate::models::voice_config::Scales { noise: 0.0, length: 1.0, noise_w: 0.0 };
    Sentence { ids: line, scales, speaker: speakers.then_some(config.default_speaker), seed: 0 }
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Loads a voice that can be cut, and checks that its windows are what the whole is; with the peak of the phrase, and
/// what its owner should know.
fn windows(
    graph: &Graph,
    anatomy: &Anatomy,
    cuts: &Cuts,
    phrase: &Sentence,
    desk: &mut Desk,
) -> Result<(Windows, f32, Option<String>), Option<String>> {
    let output = &anatomy.output;
    let tell = |error: Error| Some(error.to_string());
    let sections = |how: fn(&Graph, &Cuts, &str, Which) -> Result<Section>| -> Result<(Section, Section)> {
        std::thread::scope(|scope| {
            let decoder = scope.spawn(|| how(graph, cuts, output, Which::Decoder));
            let flow = how(graph, cuts, output, Which::Flow)?;
            let decoder = decoder.join().map_err(|_| Error::new(Kind::Internal, "the decoder cannot be loaded"))??;
            Ok((flow, decoder))
        })
    };
    let (planner, tapes) = std::thread::scope(|scope| {
        let tapes = scope.spawn(|| sections(Section::tape));
        let planner = Planner::load(graph, anatomy, cuts).and_then(|mut planner| {
            planner.learn_noise(phrase, &desk.pool)?;
            let plan = planner.plan(phrase, &desk.pool)?;
            Ok((planner, plan))
        });
        let tapes = tapes.join().unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the decoder cannot be loaded")));
        (planner, tapes)
    });
    let (planner, plan) = planner.map_err(tell)?;
    let speaker = phrase.speaker;
    let slow = |why: String| format!("speech is made more slowly than it could be, since the voice is unusual: {why}");
    let (windows, warning) = match tapes {
        Ok((flow, decoder)) => (Windows { planner, flow, decoder, cuts: cuts.clone() }, None),
        Err(why) => {
            let (flow, decoder) = sections(Section::rten).map_err(tell)?;
            (Windows { planner, flow, decoder, cuts: cuts.clone() }, Some(slow(why.to_string())))
        }
    };
    let columns =
        windows.flow.columns(speaker, desk).and_then(|flow| Ok([flow, windows.decoder.columns(speaker, desk)?]));
    let columns = columns.map_err(tell)?;
    let whole = windows.speak(&plan, &(0..plan.frames), speaker, &columns, desk).map_err(tell)?;
    // Not at a border, odd, and shorter than the context.
    let middle = plan.frames / 3..plan.frames / 3 + 5.min(plan.frames - plan.frames / 3);
    let part = windows.speak(&plan, &middle, speaker, &columns, desk).map_err(tell)?;
    if whole.get(middle.start * cuts.hop..middle.end * cuts.hop) != Some(part.as_slice()) {
        return Err(Some("windows differ from the whole".into()));
    }
    Ok((windows, peak(&whole), warning))
}

#[cfg(test)]
pub(super) mod tests;
