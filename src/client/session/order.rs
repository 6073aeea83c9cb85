//! What is done when: lines and voices one after the other, commands at once. Pure.
//!
//! While it pauses, nothing new begins. `:wait` holds the input back, not the speech.

use super::input::Command;
use std::collections::VecDeque;

/// Lines and voices that wait. More input is not read; but while it pauses, for what ends the pause.
pub(super) const MOST: usize = 1_000;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A line of text came.
    Text { number: u64, text: String },
    /// A command came.
    Command { number: u64, command: Command },
    /// No more will come.
    Over,
    /// What was begun is done, however it ended.
    Done,
    /// Ctrl-C.
    Interrupt,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Say this; [`Event::Done`] tells that it is said.
    Say { number: u64, text: String },
    /// Take this voice; [`Event::Done`] tells that it is there.
    Change { number: u64, voice: String },
    /// Act on what is being said. Without a number nobody has typed it.
    Act { number: Option<u64>, act: Act },
    /// All before this `:wait` is said.
    Waited { number: u64 },
    /// This `:wait` would wait for ever.
    Refuse { number: u64 },
    /// This line is not taken: nothing goes on while it pauses, and enough waits.
    Full { number: u64 },
    /// The last.
    End(Ending),
}

/// What acts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Pause,
    Resume,
    /// What is being said ends with it; no [`Event::Done`] is told of that. So many lines had waited.
    Stop {
        dropped: usize,
    },
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is said.
    Said,
    /// By `:quit`.
    Quit,
    /// By Ctrl-C.
    Interrupted,
}

/// What waits its turn.
#[derive(Clone, Debug)]
enum Task {
    Line { number: u64, text: String },
    Voice { number: u64, name: String },
}

/// What has been begun and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    Line,
    Voice,
}

/// The order of things.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Whether somebody types, who may go on after Ctrl-C.
    is_typed: bool,
    waiting: VecDeque<Task>,
    work: Work,
    is_paused: bool,
    /// The `:wait` that holds the input back.
    holds: Option<u64>,
    is_over: bool,
    has_ended: bool,
}

impl Order {
    /// Nothing has come yet. Where nobody types, the first Ctrl-C is the end.
    pub(super) fn new(is_typed: bool) -> Self {
        let (waiting, work) = (VecDeque::new(), Work::Nothing);
        Self { is_typed, waiting, work, is_paused: false, holds: None, is_over: false, has_ended: false }
    }

    /// Whether more input may be read.
    pub(super) fn has_room(&self) -> bool {
        !self.is_over && !self.has_ended && self.holds.is_none() && (self.is_paused || self.waiting.len() < MOST)
    }

    /// Whether no more input is wanted, ever.
    pub(super) fn is_over(&self) -> bool {
        self.is_over || self.has_ended
    }

    /// Whether the sound is held back.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Something happens.
    pub(super) fn on(&mut self, event: Event) -> Vec<Effect> {
        if self.has_ended {
            return Vec::new();
        }
        let mut effects = Vec::new();
        match event {
            Event::Text { number, text } => self.queue(number, Task::Line { number, text }, &mut effects),
            Event::Command { number, command } => self.command(number, command, &mut effects),
            Event::Done => self.work = Work::Nothing,
            Event::Over => {
                self.is_over = true;
                // Nobody is left who could do it.
                if std::mem::take(&mut self.is_paused) {
                    effects.push(Effect::Act { number: None, act: Act::Resume });
                }
            }
            Event::Interrupt if self.is_typed && !self.is_over && self.has_something_to_say() => {
                self.stop(None, &mut effects);
            }
            Event::Interrupt => self.end(Ending::Interrupted, &mut effects),
        }
        self.go_on(&mut effects);
        effects
    }

    fn command(&mut self, number: u64, command: Command, effects: &mut Vec<Effect>) {
        let act = |act| Effect::Act { number: Some(number), act };
        match command {
            Command::Pause => {
                self.is_paused = true;
                effects.push(act(Act::Pause));
            }
            Command::Resume => {
                self.is_paused = false;
                effects.push(act(Act::Resume));
            }
            Command::Stop => self.stop(Some(number), effects),
            Command::Wait if self.is_paused && self.has_something_to_do() => effects.push(Effect::Refuse { number }),
            Command::Wait => self.holds = Some(number),
            Command::Quit => self.end(Ending::Quit, effects),
            Command::Voice(name) => self.queue(number, Task::Voice { number, name }, effects),
        }
    }

    fn queue(&mut self, number: u64, task: Task, effects: &mut Vec<Effect>) {
        match self.waiting.len() < MOST {
            true => self.waiting.push_back(task),
            false => effects.push(Effect::Full { number }),
        }
    }

    /// Drops lines. Voices that were asked for stay: they are for the lines that follow.
    fn stop(&mut self, number: Option<u64>, effects: &mut Vec<Effect>) {
        let before = self.waiting.len();
        self.waiting.retain(|task| matches!(task, Task::Voice { .. }));
        let dropped = before - self.waiting.len();
        if self.work == Work::Line {
            self.work = Work::Nothing;
        }
        self.is_paused = false;
        effects.push(Effect::Act { number, act: Act::Stop { dropped } });
    }

    fn end(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        self.has_ended = true;
        self.waiting.clear();
        effects.push(Effect::End(ending));
    }

    /// Begins what is next, if its time has come.
    fn go_on(&mut self, effects: &mut Vec<Effect>) {
        if self.has_ended || self.is_paused || self.work != Work::Nothing {
            // A wait for nothing is over, also while it pauses.
            if !self.has_ended && !self.has_something_to_do() {
                effects.extend(self.holds.take().map(|number| Effect::Waited { number }));
            }
            return;
        }
        match self.waiting.pop_front() {
            Some(Task::Line { number, text }) => {
                self.work = Work::Line;
                effects.push(Effect::Say { number, text });
            }
            Some(Task::Voice { number, name }) => {
                self.work = Work::Voice;
                effects.push(Effect::Change { number, voice: name });
            }
            None => {
                effects.extend(self.holds.take().map(|number| Effect::Waited { number }));
                if self.is_over {
                    self.end(Ending::Said, effects);
                }
            }
        }
    }

    fn has_something_to_do(&self) -> bool {
        self.work != Work::Nothing || !self.waiting.is_empty()
    }

    fn has_something_to_say(&self) -> bool {
        self.work == Work::Line || self.waiting.iter().any(|task| matches!(task, Task::Line { .. }))
    }
}

#[cfg(test)]
mod tests;
