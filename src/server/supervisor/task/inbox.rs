//! What the supervisor's task is asked: what can be answered at once is, the rest is an event for the roster.

use super::Task;
use crate::{
    error::Result,
    server::supervisor::{KeeperEvent, Watched, keeper::Guest, message::Message, roster::Event},
    speech::ModelId,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long a call waits for a worker, if its own deadline is later and no model takes longer to load.
const LONGEST_QUEUE: Duration = Duration::from_secs(300);

impl Task {
    /// Answers what can be answered at once; what cannot is for the roster.
    pub(super) fn answer(&mut self, message: Message) -> Option<KeeperEvent> {
        // Who asks may hold what it asks about.
        self.note_holds();
        match message {
            Message::Lease { model, turn, reply } => {
                if let ModelId::Whisper(path) = &model {
                    // In memory a model is a little larger than its file.
                    let size = || std::fs::metadata(path).map_or(0, |file| file.len() + file.len() / 4);
                    self.roster.expect_size(&model, size);
                }
                // Whoever waits for a start waits as long as a start may take.
                let longest = LONGEST_QUEUE.max(self.settings.load_timeout * 2);
                return Some(Event::Wanted { model, by: reply, until: Instant::now() + longest, turn });
            }
            Message::Unload { model, reply } => {
                let workers = self.roster.model(&model).map_or(0, |model| model.workers);
                reply.send(workers).unwrap_or_default();
                return Some(Event::Unload { model });
            }
            Message::UnloadUnused { model, reply } => {
                let answer = self.roster.may_be_unloaded(&model);
                let is_loaded = matches!(answer, Ok(true));
                drop(reply.send(answer));
                return is_loaded.then_some(Event::Unload { model });
            }
            Message::Reload { model, reply } => {
                self.reloads.entry(model.clone()).or_default().push(reply);
                return Some(Event::Reload { model });
            }
            Message::Admit { model, guest, reply } => drop(reply.send(self.admit(model, *guest))),
            Message::View { reply } => drop(reply.send(self.view())),
            Message::Watch { reply } => {
                let view = self.view();
                let changes = self.changes.subscribe();
                self.roster.watch(true);
                self.told = Some(view.clone());
                drop(reply.send(Watched { view, changes }));
            }
            // Seen to by the caller.
            Message::Stop { .. } => {}
        }
        None
    }

    fn admit(&mut self, model: ModelId, guest: Guest) -> Result<()> {
        let now = self.now();
        let number = self.roster.admit(model.clone(), now)?;
        if matches!(model, ModelId::DialledIn { .. }) {
            self.directory.learn(&model.to_string(), &model);
        }
        self.keep(number, model, Some(guest));
        self.tell();
        Ok(())
    }
}
