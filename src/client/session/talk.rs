//! The conversation: carries out what `order` says, with the server, the loudspeaker and whoever types.

use super::{
    call::{self, Heard, Session, Utterance},
    input::{self, Input},
    manner::Manner,
    mouth::{self, Mouth},
    order::{self, Act, Effect, Ending, Event, Order},
    teller::{self, Outcome, Teller},
};
use crate::{
    client::{
        Connection, Context, is_gone,
        lines::{Line, Lines},
        models::{PullArgs, Wanted, ensure},
    },
    error::{Error, Kind, Result},
    proto::spoken::ControlCommand,
    shutdown::Stop,
};
use std::{collections::VecDeque, future::pending, pin::Pin, sync::Arc};

/// What will be there.
type Coming<T> = Pin<Box<dyn Future<Output = Result<Box<T>>> + Send>>;

/// Everything that has a part in it.
pub(super) struct Talk {
    context: Arc<Context>,
    connection: Connection,
    pull: PullArgs,
    session: Session,
    mouth: Mouth,
    teller: Teller,
    order: Order,
    work: Work,
    /// The line that is being said, and how many samples went before it.
    line: Option<(u64, u64)>,
    /// Lines that were begun.
    lines: u64,
}

/// What is being done.
enum Work {
    Nothing,
    /// A line is about to be said.
    Opening(Coming<(Session, Utterance)>),
    /// It is being said.
    Saying(Box<Utterance>),
    /// All of it has come, and is not heard yet.
    Playing,
    /// Another voice is about to be there, for this line of the input.
    Changing(u64, Coming<Session>),
}

/// What has come of it.
enum Step {
    Opened(Result<Box<(Session, Utterance)>>),
    Heard(Result<Heard>),
    Played(Result<()>),
    Changed(u64, Result<Box<Session>>),
}

/// What woke the conversation.
enum Woken {
    Interrupt,
    Line(Result<Option<Line>>),
    Step(Step),
    Late(Error),
}

impl Work {
    /// Waits for what comes of it. May be dropped while it waits.
    async fn step(&mut self, mouth: &mut Mouth) -> Step {
        match self {
            Work::Nothing => pending().await,
            Work::Opening(opening) => Step::Opened(opening.await),
            Work::Saying(utterance) => Step::Heard(utterance.next().await),
            Work::Playing => Step::Played(mouth.play_out().await),
            Work::Changing(number, changing) => Step::Changed(*number, changing.await),
        }
    }
}

impl Talk {
    /// With a session that has just begun.
    pub(super) fn new(
        context: Arc<Context>,
        (connection, session): (Connection, Session),
        pull: PullArgs,
        mouth: Mouth,
        teller: Teller,
        is_typed: bool,
    ) -> Self {
        let (order, work) = (Order::new(is_typed), Work::Nothing);
        Self { context, connection, pull, session, mouth, teller, order, work, line: None, lines: 0 }
    }

    /// Says what is read, until the end.
    ///
    /// # Errors
    /// What ends it before.
    pub(super) async fn run(&mut self, lines: &mut Lines) -> Result<Ending> {
        let mut stop = self.context.stop_notice();
        self.teller.event(&teller::Event::Ready {
            version: teller::VERSION,
            session: self.session.id(),
            voice: self.session.manner().name(),
            sample_rate: call::RATE,
        })?;
        self.invite();
        loop {
            // Commands before sound: they act at once, also on sound that comes as fast as it can.
            let woken = tokio::select! {
                biased;
                () = stop.wanted(Stop::Drain) => Woken::Interrupt,
                line = lines.any(), if self.order.has_room() => Woken::Line(line),
                step = self.work.step(&mut self.mouth) => Woken::Step(step),
                error = self.connection.too_late() => Woken::Late(error),
            };
            let ending = match woken {
                Woken::Interrupt => self.interrupt().await?,
                Woken::Line(line) => self.read(line?).await?,
                Woken::Step(step) => self.advance(step).await?,
                Woken::Late(error) => return Err(error),
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
    }

    /// Keeps what was heard, and takes leave.
    ///
    /// # Errors
    /// What ended it, else what cannot be written, else how a script ended whose lines failed.
    pub(super) async fn end(mut self, ended: Result<Ending>, place: Option<&str>) -> Result<()> {
        if ended.is_err() {
            // Where that cannot be told, there is something worse to tell.
            self.close(Outcome::Failed).unwrap_or_default();
        }
        let Self { session, mouth, teller, lines, work, .. } = self;
        drop(work);
        let (samples, duration) = (mouth.samples(), mouth.seconds());
        // Before anything that waits: what was heard is kept, whatever becomes of the rest.
        let kept = if ended.is_ok() || samples > 0 { mouth.finish() } else { Ok(()) };
        session.end().await;
        if let Some(place) = place.filter(|_| kept.is_ok() && (ended.is_ok() || samples > 0)) {
            teller.note(&format!("{place}: {duration:.1} s"));
        }
        let ending = ended?;
        kept?;
        if ending == Ending::Interrupted {
            return Err(Error::new(Kind::Cancelled, "interrupted"));
        }
        teller.event(&teller::Event::Done { lines, duration })?;
        teller.verdict()
    }

    /// Ctrl-C.
    async fn interrupt(&mut self) -> Result<Option<Ending>> {
        // It is shown where it was typed.
        self.teller.leave();
        let ending = self.take(Event::Interrupt).await?;
        if ending.is_none() {
            self.context.calm();
            self.invite();
        }
        Ok(ending)
    }

    /// A line of the input, or its end.
    async fn read(&mut self, line: Option<Line>) -> Result<Option<Ending>> {
        let Some((number, line)) = line else {
            self.teller.leave();
            return self.take(Event::Over).await;
        };
        let ending = match line.and_then(|line| input::read(&line)) {
            Ok(Input::Nothing) => None,
            Ok(Input::Text(text)) => self.take(Event::Text { number, text }).await?,
            Ok(Input::Command(command)) => self.take(Event::Command { number, command }).await?,
            Err(error) => {
                self.teller.failure(number, &error)?;
                None
            }
        };
        if ending.is_none() {
            self.invite();
        }
        Ok(ending)
    }

    /// Something has come of what is being done.
    async fn advance(&mut self, step: Step) -> Result<Option<Ending>> {
        match step {
            Step::Opened(Ok(opened)) => {
                let (session, utterance) = *opened;
                (self.session, self.work) = (session, Work::Saying(Box::new(utterance)));
                // It may have begun anew, and does not know.
                if self.order.is_paused() {
                    self.session.control(ControlCommand::Pause).await?;
                }
                return Ok(None);
            }
            Step::Heard(Ok(Heard::Sound(audio))) => {
                self.mouth.say(&audio).await?;
                return Ok(None);
            }
            Step::Heard(Ok(Heard::Nothing)) => {
                self.session.look(self.order.is_paused()).await?;
                return Ok(None);
            }
            Step::Heard(Ok(Heard::Over)) => {
                self.work = Work::Playing;
                return Ok(None);
            }
            Step::Played(played) => {
                played?;
                self.close(Outcome::Said)?;
            }
            Step::Opened(Err(error)) | Step::Heard(Err(error)) => {
                self.mouth.hush();
                let line = self.line;
                self.close(Outcome::Failed)?;
                if let Some((number, _)) = line {
                    self.fail(number, error)?;
                }
            }
            Step::Changed(number, changed) => {
                self.work = Work::Nothing;
                self.change(number, changed).await?;
                self.invite();
            }
        }
        self.work = Work::Nothing;
        self.take(Event::Done).await
    }

    /// Lets the order take in an event, and carries out what follows. Gives the end, once it is there.
    async fn take(&mut self, event: Event) -> Result<Option<Ending>> {
        let mut effects = VecDeque::from(self.order.on(event));
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Say { number, text } => {
                    let at = self.mouth.samples();
                    (self.line, self.lines) = (Some((number, at)), self.lines + 1);
                    let session = self.session.clone();
                    self.work = Work::Opening(Box::pin(async move { session.say(text).await.map(Box::new) }));
                    self.teller.event(&teller::Event::Begin { line: number, at: mouth::seconds(at) })?;
                }
                Effect::Change { number, voice } => {
                    let manner = self.session.manner().with_voice(voice);
                    let (context, connection, pull) = (Arc::clone(&self.context), self.connection.clone(), self.pull);
                    let changing = async move { begin(context, connection, manner, pull, false).await.map(Box::new) };
                    self.work = Work::Changing(number, Box::pin(changing));
                }
                Effect::Act { number, act } => match (self.act(number, act).await, number) {
                    // The lines that wait may fare better.
                    (Err(error), Some(number)) => self.fail(number, error)?,
                    (acted, _) => acted?,
                },
                Effect::Waited { number } => self.acknowledge(Some(number), "wait", call::now(), None)?,
                Effect::Refuse { number } => {
                    let message = "`:wait` would wait for ever: it pauses; give `:resume` or `:stop` first";
                    self.teller.failure(number, &Error::invalid(message))?;
                }
                Effect::Full { number } => {
                    let message = format!("{} lines wait already, and it pauses; give `:resume` first", order::MOST);
                    self.teller.failure(number, &Error::invalid(message))?;
                }
                Effect::End(ending) => {
                    // The server hears of it by the end of the session.
                    self.drop_line()?;
                    return Ok(Some(ending));
                }
            }
        }
        Ok(None)
    }

    async fn act(&mut self, number: Option<u64>, act: Act) -> Result<()> {
        match act {
            Act::Pause => {
                let at = self.session.control(ControlCommand::Pause).await?;
                self.acknowledge(number, "pause", at, None)
            }
            Act::Resume => {
                let at = self.session.control(ControlCommand::Resume).await?;
                self.acknowledge(number, "resume", at, None)
            }
            Act::Stop { dropped } => {
                // Here at once, there as soon as can be.
                self.drop_line()?;
                let at = self.session.control(ControlCommand::Stop).await?;
                self.acknowledge(number, "stop", at, Some(dropped))
            }
        }
    }

    /// Drops what is being said, with what has come of it and was not taken yet.
    fn drop_line(&mut self) -> Result<()> {
        self.mouth.hush();
        if self.line.is_some() {
            self.work = Work::Nothing;
        }
        self.close(Outcome::Stopped)
    }

    /// The line is over that was being said.
    fn close(&mut self, outcome: Outcome) -> Result<()> {
        let Some((line, at)) = self.line.take() else { return Ok(()) };
        let duration = mouth::seconds(self.mouth.samples() - at);
        self.teller.event(&teller::Event::End { line, at: mouth::seconds(at), duration, outcome })
    }

    /// Another voice is there, or cannot be had.
    async fn change(&mut self, number: u64, changed: Result<Box<Session>>) -> Result<()> {
        let session = match changed {
            Ok(session) => session,
            Err(error) => return self.fail(number, error),
        };
        std::mem::replace(&mut self.session, *session).end().await;
        let (voice, session) = (self.session.manner().name().unwrap_or_default(), self.session.id());
        self.teller.event(&teller::Event::Voice { line: number, voice, session })
    }

    fn acknowledge(&self, line: Option<u64>, command: &'static str, at: i64, dropped: Option<usize>) -> Result<()> {
        self.teller.event(&teller::Event::Command { line, command, timestamp_ms: at, dropped })
    }

    /// A line came to nothing; those that follow may fare better, or not.
    ///
    /// # Errors
    /// The same, where the next one would fare no better.
    fn fail(&mut self, number: u64, error: Error) -> Result<()> {
        let is_late = error.kind() == Kind::Deadline && self.connection.is_limited();
        if is_late || is_gone(&error) {
            // Whoever started it is told by how it ends; who reads along, here.
            self.teller.fatal(number, &error)?;
            return Err(error);
        }
        self.teller.failure(number, &error)?;
        self.invite();
        Ok(())
    }

    fn invite(&self) {
        if self.order.is_over() {
            return;
        }
        self.teller.prompt(self.session.manner().name(), self.order.is_paused());
    }
}

/// Begins a session, once what it needs is there.
///
/// # Errors
/// What is wrong with the manner, or with the moment.
pub(super) async fn begin(
    context: Arc<Context>,
    connection: Connection,
    manner: Manner,
    pull: PullArgs,
    may_ask: bool,
) -> Result<Session> {
    ensure(&context, &connection, Wanted::Voice(manner.needed()), pull, may_ask).await?;
    Session::begin(connection, manner).await
}
