//! One utterance between those who have to do with it: who reads its frames, who makes its audio, who commands it.
//!
//! Frames are not pushed into a queue before the transport; the transport takes each from under the lock. So a command,
//! which takes the lock too, comes before a frame or after it, and what it holds back is held back at once.

use super::{
    measures::Measures,
    pace::Time,
    state::{Event, Next, Rules, Utterance},
};
use crate::{
    error::{Error, Result},
    sentence::Sentence,
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// How long a command waits until a frame that the reader has just been given is with the transport. It is there at
/// once, but where the reader's task was interrupted between the two; and where the reader stands still, nobody says so:
/// then the transport has it in its hands, and nothing behind it.
const HANDING_OVER: Duration = Duration::from_millis(20);

/// What the reader is told to do.
pub(super) enum Told {
    /// Send this.
    Frame { number: i64, audio: Bytes },
    /// Send the empty frame that is the last.
    Last(i64),
    /// Come again at this time; else when you are woken.
    Wait(Option<Instant>),
    /// End, with a status where something went wrong.
    Over(Option<Error>),
}

/// One utterance, shared.
pub(super) struct Talk {
    began: Instant,
    state: Mutex<State>,
    /// For the maker of the audio: something has changed.
    changed: Notify,
    /// For the maker of the audio: some of it has gone.
    room: Notify,
    /// For who commands: nothing of sound is on its way to the transport.
    quiet: Notify,
    measures: Arc<Measures>,
}

struct State {
    utterance: Utterance,
    reader: Option<Waker>,
    /// Whether the reader was given a frame and has not come back since: it may not be with the transport yet.
    is_handing_over: bool,
    /// Whether the reader has come back, or gone, since sound was held back.
    is_quiet: bool,
    failure: Option<Error>,
    /// When text last came, a frame last went, or a command was given.
    moved: Instant,
    /// When the first words came, until their sound went.
    first_words: Option<Instant>,
}

impl Talk {
    /// An utterance that nobody has written yet.
    pub(super) fn new(rules: &Rules, is_paused: bool, measures: Arc<Measures>) -> Self {
        let utterance = Utterance::new(rules, is_paused);
        let state = State {
            utterance,
            reader: None,
            is_handing_over: false,
            is_quiet: true,
            failure: None,
            moved: Instant::now(),
            first_words: None,
        };
        Self {
            began: Instant::now(),
            state: Mutex::new(state),
            changed: Notify::new(),
            room: Notify::new(),
            quiet: Notify::new(),
            measures,
        }
    }

    /// Something happens to it.
    ///
    /// # Errors
    /// As those of [`Utterance::on`].
    pub(super) fn on(&self, event: Event<'_>) -> Result<()> {
        let mut state = self.lock();
        let result = state.utterance.on(self.now(), event);
        if !matches!(event, Event::Tick) {
            state.moved = Instant::now();
        }
        if let Event::Text { text, .. } = event
            && !text.is_empty()
            && state.utterance.has_said_nothing()
        {
            state.first_words.get_or_insert_with(Instant::now);
        }
        self.tell(state);
        result
    }

    /// It cannot go on, and what was made of it is of no use any more. The reader gets this at once.
    pub(super) fn refuse(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.command(Event::Stop);
    }

    /// No more can be made of it. What was made is heard, and then the reader gets this.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.failure.get_or_insert(error);
        state.utterance.break_off();
        self.tell(state);
    }

    /// What can always be done to it.
    pub(super) fn command(&self, event: Event<'_>) {
        // Only text can be wrong.
        self.on(event).unwrap_or_default();
    }

    /// Waits, once sound is held back, until none of it enters the transport any more.
    pub(super) async fn quiet(&self) {
        let quiet = async {
            loop {
                let mut notified = std::pin::pin!(self.quiet.notified());
                // Said between the look and the wait, it counts too.
                notified.as_mut().enable();
                if self.lock().is_quiet {
                    return;
                }
                notified.await;
            }
        };
        // A reader that stands still holds one frame at most, which it was given before.
        timeout(HANDING_OVER, quiet).await.unwrap_or_default();
    }

    /// The reader has room for a frame.
    pub(super) fn next(&self, context: &Context<'_>) -> Told {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_handing_over) {
            // The frame goes when the reader has nothing to add to it: each by itself, or a reader that stands still would
            // take a whole batch into its hands. It has gone when this call has ended; so the next one knows.
            context.waker().wake_by_ref();
            return Told::Wait(None);
        }
        if state.utterance.is_held() {
            state.is_quiet = true;
            self.quiet.notify_waiters();
        }
        let had_room = state.utterance.has_room_for_audio();
        match state.utterance.next_frame(self.now()) {
            Next::Frame { number, audio, late } => {
                (state.is_handing_over, state.is_quiet) = (true, false);
                state.moved = Instant::now();
                let waited = state.first_words.take().filter(|_| number == 1).map(|words| words.elapsed());
                // As a rule a frame changes nothing for who makes them, and waking it would cost as much as the frame.
                let wants_work = state.utterance.wants_work();
                drop(state);
                self.measures.frame(late, waited);
                if wants_work {
                    self.changed.notify_one();
                }
                if !had_room {
                    self.room.notify_one();
                }
                Told::Frame { number, audio }
            }
            Next::Last { number } => match state.failure.take() {
                Some(error) => Told::Over(Some(error)),
                None => Told::Last(number),
            },
            Next::Wait(at) => {
                state.reader = Some(context.waker().clone());
                Told::Wait(at.map(|at| self.began + at))
            }
            Next::Over => Told::Over(None),
        }
    }

    /// Nobody reads any more.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_quiet = true;
        state.reader = None;
        drop(state);
        self.quiet.notify_waiters();
    }

    /// The sentence to be made now, and how many went before it.
    pub(super) fn next_sentence(&self) -> Option<(u64, Sentence)> {
        self.lock().utterance.next_sentence()
    }

    /// Whether more text may be read.
    pub(super) fn has_room_for_text(&self) -> bool {
        self.lock().utterance.has_room_for_text()
    }

    /// When text last came, a frame last went, or a command was given.
    pub(super) fn moved(&self) -> Instant {
        self.lock().moved
    }

    /// Whether it was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.lock().utterance.is_stopped()
    }

    /// Whether nothing is to be said before more is written.
    pub(super) fn waits_for_text(&self) -> bool {
        self.lock().utterance.waits_for_text()
    }

    /// Whether it pauses.
    pub(super) fn is_paused(&self) -> bool {
        self.lock().utterance.is_paused()
    }

    /// Whether all of it is made.
    pub(super) fn is_said(&self) -> bool {
        self.lock().utterance.is_said()
    }

    /// A worker has made so much audio of it in so much time.
    pub(super) fn worked(&self, audio: Duration, took: Duration) {
        self.measures.worked(audio, took);
    }

    /// When a look at the clock is due.
    pub(super) fn tick_at(&self) -> Option<Instant> {
        self.lock().utterance.tick_at().map(|at| self.began + at)
    }

    /// Waits until something changes. Who waits may be interrupted and wait again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until more audio may be made.
    pub(super) async fn room(&self) {
        while !self.lock().utterance.has_room_for_audio() {
            self.room.notified().await;
        }
    }

    fn now(&self) -> Time {
        self.began.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who may have to do with a change.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.changed.notify_one();
        self.room.notify_one();
    }
}

#[cfg(test)]
mod tests;
