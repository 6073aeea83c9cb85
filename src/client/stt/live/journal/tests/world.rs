//! A small world: a source, a network, and a server whose finals are a function of the audio alone.

use super::rules;
use crate::{
    audio::bytes_to_i16,
    client::stt::live::{
        journal::{Effect, Event, Journal, Opening, Said},
        told::{Ended, Told},
    },
    error::{Error, Kind},
    proto::v1::{self, session_done::Reason, streaming_recognize_request::Message},
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::Duration,
};

/// Samples of silence that end an utterance.
const QUIET: usize = 4;

/// What the network and the server do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Samples are heard.
    Feed(usize),
    /// The client sends, the server receives, the client receives: one message.
    Send,
    Up,
    Down,
    /// Milliseconds pass.
    Wait(u64),
    /// The connection breaks, with all that is on its way.
    Cut,
    /// The server dies, with the last samples of its log that hold nothing decided, and comes back.
    Restart(usize),
    /// So it does, without its log.
    Forget,
    /// It says that it stops, and comes back.
    Stop,
    /// It has no room for the next who comes.
    Busy,
    /// It asks for a pause of so many milliseconds.
    Pause(i64),
    /// From now on it says so many finals again that the user has, when a session is resumed.
    Repeat(usize),
}

/// Speech of so many samples, each of its own, and silence behind it; every third silence ends an utterance.
pub(super) fn speech(stretches: &[(usize, usize)]) -> Vec<i16> {
    let mut truth = Vec::new();
    let mut sample = 0;
    for (number, (length, silence)) in stretches.iter().enumerate() {
        for _ in 0..*length {
            sample += 1;
            truth.push(sample);
        }
        let least = if number % 3 == 2 { QUIET } else { 1 };
        truth.resize(truth.len() + silence.max(&least), 0);
    }
    truth
}

/// What the user has in the end: finals as start, end and samples; gaps.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) finals: Vec<(i64, i64, Vec<i16>)>,
    pub(super) gaps: Vec<Range<i64>>,
    pub(super) ended: Option<Ended>,
}

#[derive(Default)]
struct Session {
    key: String,
    log: Vec<i16>,
    is_ended: bool,
    finals: Vec<v1::Final>,
    /// Where the last final ended.
    decided: usize,
}

#[derive(Default)]
struct Wire {
    up: VecDeque<Message>,
    down: VecDeque<Said>,
    /// Markers that wait: their ids, and the audio before them.
    markers: Vec<(String, usize)>,
}

pub(super) struct World {
    truth: Vec<i16>,
    fed: usize,
    waits: bool,
    journal: Journal,
    now: Duration,
    wire: Option<Wire>,
    session: Option<Session>,
    sessions: usize,
    epoch: i64,
    is_busy: bool,
    /// How many finals the server says again on a resume.
    repeats: usize,
    heard: Heard,
    /// What was told of each utterance: began, partial, final, ended.
    stages: BTreeMap<i64, u8>,
}

impl World {
    pub(super) fn new(truth: Vec<i16>, waits: bool) -> Self {
        Self {
            truth,
            fed: 0,
            waits,
            journal: Journal::new(rules()),
            now: Duration::ZERO,
            wire: None,
            session: None,
            sessions: 0,
            epoch: 1,
            is_busy: false,
            repeats: 0,
            heard: Heard::default(),
            stages: BTreeMap::new(),
        }
    }

    /// Lets all this happen, and then only good.
    pub(super) fn run(mut self, acts: &[Act]) -> Heard {
        for act in acts {
            self.act(*act);
        }
        for _ in 0..20_000 {
            if self.heard.ended.is_some() {
                return self.heard;
            }
            for act in [Act::Feed(10), Act::Send, Act::Send, Act::Up, Act::Up, Act::Down, Act::Down, Act::Wait(20)] {
                self.act(act);
            }
        }
        panic!("it does not end: {:?}", self.journal);
    }

    fn act(&mut self, act: Act) {
        if self.heard.ended.is_some() {
            return;
        }
        match act {
            Act::Feed(count) => self.feed(count),
            Act::Send => {
                let has_room = self.wire.as_ref().is_some_and(|wire| wire.up.len() < 4);
                if has_room && let (Some(message), Some(wire)) = (self.journal.next_message(), &mut self.wire) {
                    wire.up.push_back(message);
                }
            }
            Act::Up => {
                if let Some(message) = self.wire.as_mut().and_then(|wire| wire.up.pop_front()) {
                    self.receive(message);
                }
            }
            Act::Down => {
                if let Some(said) = self.wire.as_mut().and_then(|wire| wire.down.pop_front()) {
                    self.on(Event::Said(said));
                }
            }
            Act::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.on(Event::Tick);
            }
            Act::Cut => self.cut(),
            Act::Restart(torn) => {
                self.epoch += 1;
                if let Some(session) = &mut self.session {
                    // The power was cut: what is decided is safe. Behind what is torn off nothing is left.
                    let kept = session.log.len().saturating_sub(torn).max(session.decided);
                    session.is_ended &= kept == session.log.len();
                    session.log.truncate(kept);
                }
                self.cut();
            }
            Act::Forget => {
                self.session = None;
                self.cut();
            }
            Act::Stop => self.say(Said::Done(done(Reason::ServerStops, &Session::default()))),
            Act::Busy => self.is_busy = true,
            Act::Repeat(count) => self.repeats = count,
            Act::Pause(delay_ms) => self.say(Said::Backpressure(v1::Backpressure { delay_ms })),
        }
    }

    fn feed(&mut self, count: usize) {
        if self.waits && !self.journal.has_room() {
            return;
        }
        let end = self.truth.len().min(self.fed + count);
        if self.fed < end {
            let samples = self.truth[self.fed..end].to_vec();
            self.fed = end;
            self.on(Event::Heard(samples));
            assert!(self.journal.kept.len() <= rules().capacity, "the buffer has no bound");
        } else if !self.journal.is_over {
            self.on(Event::Over);
        }
    }

    fn on(&mut self, event: Event) {
        for effect in self.journal.on(event, self.now) {
            match effect {
                Effect::Connect(opening) => self.open(&opening),
                Effect::HangUp => self.wire = None,
                Effect::Tell(told) => self.tell(told),
                Effect::End(end) => self.heard.ended = Some(end.expect("nothing is the end but the end")),
            }
        }
    }

    fn cut(&mut self) {
        if self.wire.take().is_some() {
            let error = Error::new(Kind::Unavailable, "it broke");
            self.on(Event::Lost { error, chance: 0.5 });
        }
    }

    fn refuse(&mut self, error: Error) {
        self.wire = None;
        self.on(Event::Lost { error, chance: 0.5 });
    }

    fn say(&mut self, said: Said) {
        if let Some(wire) = &mut self.wire {
            wire.down.push_back(said);
        }
    }

    /// The server is called.
    fn open(&mut self, opening: &Opening) {
        if std::mem::take(&mut self.is_busy) {
            return self.refuse(Error::new(Kind::Busy, "full").retry_after(Duration::from_secs(1)));
        }
        let last_seq = match &opening.resume {
            None => {
                self.sessions += 1;
                self.session = Some(Session { key: format!("key {}", self.sessions), ..Session::default() });
                0
            }
            Some(resume) => {
                let is_known = self.session.as_ref().is_some_and(|session| session.key == resume.resume_key);
                if !is_known {
                    return self.refuse(Error::new(Kind::NotFound, "no such session"));
                }
                let last_seq = self.journal.timeline.server_seq(self.heard.finals.len() as i64);
                assert_eq!(resume.last_seq, last_seq, "the server is told what the user has");
                // One that is not sure of it says the last one again.
                (last_seq as usize).saturating_sub(self.repeats)
            }
        };
        let Some(session) = &self.session else { return };
        let ready = v1::Ready {
            session_id: opening.session.clone(),
            resume_key: session.key.clone(),
            next_sample: session.log.len() as i64,
            epoch: self.epoch,
            last_seq: session.finals.len() as i64,
            ..v1::Ready::default()
        };
        let mut down = VecDeque::from([Said::Ready(ready)]);
        down.extend(session.finals.iter().skip(last_seq).cloned().map(Said::Final));
        if session.is_ended {
            down.push_back(Said::Done(done(Reason::EndOfAudio, session)));
        }
        self.wire = Some(Wire { down, ..Wire::default() });
    }

    /// The server receives a message.
    fn receive(&mut self, message: Message) {
        let base = self.journal.timeline.position(0) as usize;
        let (Some(session), Some(wire)) = (&mut self.session, &mut self.wire) else { return };
        match message {
            Message::Audio(chunk) if !session.is_ended => {
                assert_eq!(chunk.first_sample, Some(session.log.len() as i64), "audio comes in order");
                for sample in bytes_to_i16(&chunk.data) {
                    let is_true = self.truth.get(base + session.log.len()) == Some(&sample);
                    assert!(is_true || (!self.waits && sample == 0), "the audio is wrong at {}", session.log.len());
                    session.log.push(sample);
                }
            }
            Message::Marker(marker) => wire.markers.push((marker.id, session.log.len())),
            Message::End(_) => session.is_ended = true,
            Message::Acknowledge(acknowledged) => {
                assert!((1..=session.finals.len() as i64).contains(&acknowledged.seq), "of what it has");
            }
            Message::Audio(_) | Message::Config(_) => panic!("no more is expected"),
        }
        listen(session, wire, self.epoch);
    }

    /// The user is told something.
    fn tell(&mut self, told: Told) {
        let stage = match &told {
            Told::Started { utterance, .. } => Some((*utterance, 1)),
            Told::Partial(partial) => Some((partial.utterance_id, 2)),
            Told::Final(said) => Some((said.utterance_id, 3)),
            Told::Ended { utterance, .. } => Some((*utterance, 4)),
            _ => None,
        };
        if let Some((utterance, stage)) = stage {
            let before = self.stages.insert(utterance, stage).unwrap_or(0);
            let is_in_order =
                if stage == 1 { before == 0 } else { before > 0 && before < stage || before == stage && stage == 2 };
            assert!(is_in_order, "utterance {utterance}: {before} before {stage}");
        }
        match told {
            Told::Final(said) => {
                assert_eq!(said.seq, self.heard.finals.len() as i64 + 1);
                let samples = said.text.split(' ').map(|sample| sample.parse().expect("a sample")).collect();
                self.heard.finals.push((said.audio_start, said.audio_end, samples));
                self.journal.note_written(said.seq);
            }
            Told::Gap { start, end, .. } => self.heard.gaps.push(start..end),
            _ => {}
        }
    }
}

/// The server writes down what can be.
fn listen(session: &mut Session, wire: &mut Wire, epoch: i64) {
    let is_over = |session: &Session, from: usize| {
        session.log[from..].windows(QUIET).position(|window| window.iter().all(|sample| *sample == 0))
    };
    while let Some(begun) = session.log[session.decided..].iter().position(|sample| *sample != 0) {
        let start = session.decided + begun;
        let utterance_id = session.finals.len() as i64 + 1;
        let at = |kind: v1::speech_activity::Kind, at: usize| {
            Said::Speech(v1::SpeechActivity { kind: kind.into(), at: at as i64, utterance_id })
        };
        wire.down.push_back(at(v1::speech_activity::Kind::Started, start));
        let (audio_start, audio_end) = (start as i64, session.log.len() as i64);
        wire.down.push_back(Said::Partial(v1::Partial {
            utterance_id,
            epoch,
            audio_start,
            audio_end,
            ..Default::default()
        }));
        let end = match (is_over(session, start), session.is_ended) {
            (Some(length), _) => start + length,
            (None, true) => start + session.log[start..].iter().rposition(|sample| *sample != 0).unwrap_or(0) + 1,
            (None, false) => break,
        };
        let said: Vec<String> =
            session.log[start..end].iter().filter(|sample| **sample != 0).map(ToString::to_string).collect();
        let said = v1::Final {
            seq: utterance_id,
            utterance_id,
            audio_start,
            audio_end: end as i64,
            text: said.join(" "),
            ..v1::Final::default()
        };
        session.finals.push(said.clone());
        session.decided = end;
        wire.down.push_back(Said::Final(said));
        wire.down.push_back(at(v1::speech_activity::Kind::Ended, end));
    }
    let is_silent = session.log[session.decided..].iter().all(|sample| *sample == 0);
    let decided = if is_silent { session.log.len() } else { session.decided };
    let (due, rest): (Vec<_>, Vec<_>) = wire.markers.drain(..).partition(|(_, at)| *at <= decided);
    wire.markers = rest;
    wire.down.extend(due.into_iter().map(|(id, _)| Said::Marker(v1::Marker { id })));
    if is_silent {
        wire.down.push_back(Said::Silence(v1::Silence { at: decided as i64 }));
    }
    if session.is_ended {
        wire.down.push_back(Said::Done(done(Reason::EndOfAudio, session)));
    }
}

fn done(reason: Reason, session: &Session) -> v1::SessionDone {
    let (audio_end, finals) = (session.log.len() as i64, session.finals.len() as i64);
    v1::SessionDone { reason: reason.into(), audio_end, finals, gaps: 0 }
}
