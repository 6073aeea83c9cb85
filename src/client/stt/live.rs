//! `speechctl stt mic`, and `speechctl stt FILE --stream`: speech, written down while it is spoken.
//!
//! The rules are in `journal`; here they meet a source, a connection, and whoever reads.

mod absence;
pub(super) mod args;
mod journal;
mod kept;
mod lines;
mod link;
mod rescue;
mod screen;
mod source;
mod timeline;
mod told;
mod utterances;

use crate::{
    audio::decode::Part,
    client::{
        Connection, Context, mic,
        models::{PullArgs, Wanted, ensure},
        output::{Output, closed_pipe, is_closed_pipe},
        stt::{
            format::{Format, Wish},
            place::Place,
        },
    },
    error::{Error, Kind, Result},
    proto::v1::{self, RecognitionConfig},
    shell,
    shutdown::{Listener, Stop},
    speech::Samples,
};
use args::Settings;
use journal::{Effect, Event, Journal, Rules};
use lines::Lines;
use link::{Dial, Incoming, Link};
use screen::Screen;
use source::Source;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use told::{Ended, Told};

/// How long the server may take for the last words once the user wants an end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often to look whether anybody still reads what is written: nothing may be said for hours.
const LOOK: Duration = Duration::from_millis(200);

/// Samples in so many seconds.
const fn seconds(count: i64) -> i64 {
    count * Samples::RATE as i64
}

/// What is to be listened to, and what becomes of it.
pub(super) struct Job<'a> {
    pub(super) settings: &'a Settings,
    pub(super) config: &'a RecognitionConfig,
    pub(super) wish: &'a Wish,
    pub(super) part: Part,
    /// The recording as the user named it.
    pub(super) file: &'a Path,
    pub(super) place: &'a Path,
    pub(super) pull: PullArgs,
    pub(super) output: Output,
}

/// The conversation: everything that has a part in it.
struct Talk {
    journal: Journal,
    dial: Dial,
    link: Option<Link>,
    source: Source,
    /// The source has more.
    is_listening: bool,
    /// What was wrong with the source in the end.
    fault: Option<Error>,
    lines: Lines,
    place: Place,
    screen: Screen,
    output: Output,
    offset: Samples,
    began: Instant,
}

/// What woke the conversation.
enum Woken {
    Stop,
    Incoming(Incoming),
    Room,
    Heard(Result<Option<Vec<i16>>>),
    Tick,
    Look,
    Late(Error),
}

impl Job<'_> {
    /// Listens until its end, and writes what is said.
    ///
    /// # Errors
    /// What is wrong with the source, the model or the server; `DataLoss` where audio could not be written down.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut stop = context.stop_notice();
        let opening = Source::open(self.settings, self.file, self.part, context);
        let mut source = unless_stopped(&mut stop, opening).await?;
        let place = Place::open(self.place, self.output)?;
        let (connection, farewell) = unless_stopped(&mut stop, context.connect()).await?;
        let readied = async {
            let wanted = Wanted::Recogniser(self.config);
            let pulled = ensure(context, &connection, wanted, self.pull, self.wish.format != Format::Jsonl).await?;
            // What the microphone heard meanwhile was not meant.
            match pulled && self.settings.is_mic {
                true => Source::open(self.settings, self.file, self.part, context).await.map(Some),
                false => Ok(None),
            }
        };
        match unless_stopped(&mut stop, readied).await {
            Ok(Some(fresh)) => source = fresh,
            Ok(None) => {}
            Err(error) => {
                farewell.say(connection).await;
                return Err(error);
            }
        }
        self.output.note_verbose(&format!("listening to {}", source.name()));
        source.warning().iter().for_each(|warning| self.output.warn(warning));
        let mut talk = self.talk(source, place, connection);
        let result = talk.run(&mut stop).await;
        let (result, connection) = talk.end(result, self.file);
        farewell.say(connection).await;
        result
    }

    fn talk(&self, source: Source, place: Place, connection: Connection) -> Talk {
        let Settings { session, give_up_after, endpointing, has_partials, .. } = self.settings;
        let screen = Screen::new(self.output);
        let rules = Rules {
            session: session.clone(),
            capacity: seconds(600),
            step: seconds(10),
            margin: seconds(3),
            marker: seconds(10),
            chunk: source::MOST as i64,
            give_up_after: *give_up_after,
            last_words: LAST_WORDS,
        };
        let config = v1::StreamingConfig {
            recognition: Some(self.config.clone()),
            // Partials that nobody sees are work for nothing.
            interim_results: *has_partials && (self.wish.format == Format::Jsonl || screen.is_live()),
            endpointing: Some(*endpointing),
            ..v1::StreamingConfig::default()
        };
        let offset = Samples::from_seconds(self.part.from);
        Talk {
            journal: Journal::new(rules),
            dial: Dial::new(connection, config),
            link: None,
            source,
            is_listening: true,
            fault: None,
            lines: Lines::new(self.wish, self.file.display().to_string(), offset),
            place,
            screen,
            output: self.output,
            offset,
            began: Instant::now(),
        }
    }
}

impl Talk {
    async fn run(&mut self, stop: &mut Listener) -> Result<Ended> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopping = false;
        let mut event = Some(Event::Tick);
        loop {
            if let Some(event) = event.take()
                && let Some(end) = self.take(event)?
            {
                return end;
            }
            let wake = self.journal.wake_at().map(|at| self.began + at);
            let is_heard = self.is_listening && (self.journal.has_room() || !self.source.waits());
            let (out, incoming) = self.link.as_mut().map(Link::ends).unzip();
            let woken = tokio::select! {
                biased;
                () = stop.wanted(Stop::Drain), if !is_stopping => Woken::Stop,
                incoming = link::next(incoming) => Woken::Incoming(incoming),
                () = link::room(out), if self.journal.has_message() => Woken::Room,
                heard = self.source.next(), if is_heard => Woken::Heard(heard),
                () = until(wake) => Woken::Tick,
                _ = look.tick() => Woken::Look,
                error = self.dial.too_late() => Woken::Late(error),
            };
            is_stopping |= matches!(woken, Woken::Stop);
            event = self.event(woken)?;
        }
    }

    /// What happened, in the words of the journal.
    fn event(&mut self, woken: Woken) -> Result<Option<Event>> {
        Ok(Some(match woken {
            Woken::Stop => {
                self.source.stop();
                Event::Stop
            }
            Woken::Incoming(Incoming::Said(said)) => Event::Said(said),
            Woken::Incoming(Incoming::Alive) => Event::Alive,
            Woken::Incoming(Incoming::Lost(error)) => {
                tracing::info!(%error, "Connection lost.");
                self.link = None;
                Event::Lost { error, chance: chance() }
            }
            Woken::Room => {
                if let (Some(link), Some(message)) = (&self.link, self.journal.next_message()) {
                    link.send(message);
                }
                return Ok(None);
            }
            Woken::Heard(Ok(Some(chunk))) => {
                let level = (!self.source.waits() && self.screen.is_live()).then(|| mic::level(&chunk));
                self.screen.hear(Samples(self.journal.heard() + chunk.len() as i64), level);
                Event::Heard(chunk)
            }
            Woken::Heard(Ok(None)) => {
                self.is_listening = false;
                Event::Over
            }
            Woken::Heard(Err(error)) => {
                self.fault = Some(error);
                return Ok(None);
            }
            Woken::Tick => Event::Tick,
            Woken::Look if self.place.is_stdout() && !self.output.is_read() => return Err(closed_pipe()),
            Woken::Look => {
                self.screen.refresh();
                return Ok(None);
            }
            Woken::Late(error) => Event::Lost { error, chance: 0.0 },
        }))
    }

    /// Lets the journal take in an event, and carries out what follows. Gives the end, once it is there.
    fn take(&mut self, event: Event) -> Result<Option<Result<Ended>>> {
        for effect in self.journal.on(event, self.began.elapsed()) {
            match effect {
                Effect::Connect(opening) => self.link = Some(self.dial.open(opening)),
                Effect::HangUp => self.link = None,
                Effect::Tell(told) => self.tell(&told)?,
                Effect::End(end) => return Ok(Some(end)),
            }
        }
        Ok(None)
    }

    fn tell(&mut self, told: &Told) -> Result<()> {
        let output = self.output;
        match told {
            Told::Away(_) if self.journal.has_begun() => self.screen.beside(|| {
                output.note("speechctl: warning: the server went away; going on as soon as it is back");
            }),
            Told::Away(why) => self.screen.beside(|| {
                output.warn(&format!("the server does not listen yet ({why}); trying again"));
            }),
            Told::Gap { start, end, reason } => {
                let (start, end) = (self.seconds(*start), self.seconds(*end));
                let warning = format!("{start:.1} s to {end:.1} s could not be written down: {reason}");
                self.screen.beside(|| output.warn(&warning));
            }
            _ => {}
        }
        let text = self.lines.told(told)?;
        if !text.is_empty() {
            match self.place.is_stdout() {
                true => self.screen.beside(|| self.place.write(&text))?,
                false => self.place.write(&text)?,
            }
        }
        if let Told::Final(said) = told {
            self.place.note_entry();
            self.journal.note_written(said.seq);
        }
        self.screen.tell(told);
        Ok(())
    }

    fn seconds(&self, at: i64) -> f64 {
        (Samples(at) + self.offset).seconds()
    }

    /// Ends the transcript as it befits the end; gives the connection, to be closed.
    fn end(mut self, result: Result<Ended>, file: &Path) -> (Result<()>, Connection) {
        self.link = None;
        self.screen.clear();
        let verdict = match (result, self.fault.take()) {
            (Ok(ended), None) => return self.finish(&ended),
            // What is wrong with the source goes before what follows from it.
            (Ok(_), Some(fault)) => fault,
            (Err(error), _) if is_closed_pipe(&error) => error,
            (Err(error), _) => self.rescue(error, file),
        };
        let heard = Samples(self.journal.heard());
        let last = self.lines.broken(heard, verdict.to_string());
        let written = last.and_then(|last| if self.journal.has_begun() { self.place.write(&last) } else { Ok(()) });
        if let Err(error) = written {
            tracing::info!(%error, "The end could not be written.");
        }
        (Err(verdict), self.dial.into_connection())
    }

    fn finish(mut self, ended: &Ended) -> (Result<()>, Connection) {
        let dropped = self.source.dropped();
        let mut warnings = self.source.warnings();
        let mut gaps = ended.gaps;
        if dropped > Samples(0) {
            gaps += 1;
            let lost = dropped.seconds();
            warnings.push(format!("{lost:.1} s of what the microphone heard were lost: this machine was too slow"));
        }
        warnings.iter().for_each(|warning| self.output.warn(warning));
        let written = self.lines.end(ended, warnings).and_then(|last| self.place.write(&last));
        let result = written.and_then(|()| self.place.finish()).and_then(|()| match gaps {
            0 => Ok(()),
            1 => Err(Error::new(Kind::DataLoss, "one stretch could not be written down, see above")),
            count => Err(Error::new(Kind::DataLoss, format!("{count} stretches could not be written down, see above"))),
        });
        (result, self.dial.into_connection())
    }

    /// Saves what was heard and not written down; says where it is.
    fn rescue(&self, error: Error, file: &Path) -> Error {
        let is_file = file.is_file() && self.source.waits();
        let is_away = matches!(error.kind(), Kind::Unavailable | Kind::Busy | Kind::Deadline);
        let (start, samples) = self.journal.undecided();
        // Who mistypes the name of a model has not said anything yet.
        if samples.is_empty() || !is_away && (is_file || !self.journal.has_begun()) {
            return error;
        }
        let (from, to) = (self.seconds(start), self.seconds(self.journal.heard()));
        if is_file {
            let file = file.display().to_string();
            let way_out = format!("go on with `speechctl stt {} --offset {from:.3}`", shell::word(&file));
            let message = format!("{error}; {way_out} and your other flags");
            return Error::new(error.kind(), message).with_details(error.details().clone());
        }
        let start = Samples(start) + self.offset;
        let message = match rescue::save(self.journal.session(), start, &samples) {
            Ok(path) => {
                let path = path.display().to_string();
                let way_out = format!("go on with `speechctl stt {}` and your other flags", shell::word(&path));
                format!("{error}; {from:.1} s to {to:.1} s are in `{path}`: {way_out}")
            }
            Err(cause) => format!("{error}; {from:.1} s to {to:.1} s could not be saved: {cause}"),
        };
        Error::new(error.kind(), message).with_details(error.details().clone())
    }
}

/// Does something unless the user wants an end before.
async fn unless_stopped<T>(stop: &mut Listener, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = work => result,
        () = stop.wanted(Stop::Drain) => Err(Error::new(Kind::Cancelled, "interrupted")),
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// 0 to 1, as the standard library's hash tables get their chance.
fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}
