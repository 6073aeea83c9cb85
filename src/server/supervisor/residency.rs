//! What can be asked of the supervisor about models as a whole: to load them, to keep them, to let them go.

use crate::{
    error::{Error, Kind, Result},
    server::supervisor::{Ended, Supervisor, hold::Held, message::Message, stopping, until, view::ModelState},
    speech::ModelId,
};
use std::time::Duration;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

/// How long a worker may take to come back from whoever has ended: its call has to be cut short first.
const COMING_BACK: Duration = Duration::from_millis(500);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(10);

impl Supervisor {
    /// Loads a model, if it is not loaded; says how long that took: nothing where it was.
    ///
    /// # Errors
    /// What the engine says, or what came of its deaths; `Busy` where no more models may be loaded.
    pub(crate) async fn load(&self, model: ModelId, deadline: Option<Instant>) -> Result<Duration> {
        let view = self.view().await?;
        if view.models.iter().any(|seen| seen.id == model && seen.state == ModelState::Ready) {
            return Ok(Duration::ZERO);
        }
        self.bring(model, deadline).await
    }

    /// Waits until a worker of a model is free; says how long that took.
    async fn bring(&self, model: ModelId, deadline: Option<Instant>) -> Result<Duration> {
        let begun = Instant::now();
        let mut call = self.call(model, deadline);
        loop {
            let granted = call.lease().await.map(|lease| lease.end(Ended::Unused));
            if call.settle(granted).await?.is_some() {
                return Ok(begun.elapsed());
            }
        }
    }

    /// Loads a model afresh, and says how long that took. The old workers go on until a new one is ready; then they end
    /// with the calls that they have in work. Who asks while that goes on shares it.
    ///
    /// # Errors
    /// Why the new worker did not become ready: then the old ones stay. `Unsupported` for a model that runs elsewhere.
    pub(crate) async fn reload(&self, model: ModelId, deadline: Option<Instant>) -> Result<Duration> {
        let begun = Instant::now();
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Reload { model: model.clone(), reply }).await.map_err(|_| stopping())?;
        let late = |_| Error::new(Kind::Deadline, format!("`{model}` was not loaded afresh before the deadline"));
        let was_loaded = timeout_at(until(deadline), answer).await.map_err(late)?.map_err(|_| stopping())??;
        if was_loaded { Ok(begun.elapsed()) } else { self.bring(model, deadline).await }
    }

    /// Unloads a model, once what is in work has ended; says how many workers will end.
    ///
    /// # Errors
    /// `Unavailable` where the server is stopping.
    pub(crate) async fn unload(&self, model: ModelId) -> Result<usize> {
        self.ask(|reply| Message::Unload { model, reply }).await
    }

    /// Unloads a model that nobody uses; says whether it was loaded.
    ///
    /// # Errors
    /// `InUse` where somebody holds it, or has it in work; `Unavailable` where the server is stopping.
    pub(crate) async fn unload_unused(&self, model: ModelId) -> Result<bool> {
        let late = Instant::now() + COMING_BACK;
        loop {
            let of_model = model.clone();
            match self.ask(|reply| Message::UnloadUnused { model: of_model, reply }).await? {
                // Whoever let go of it just now may have a worker that is on its way back.
                Err(error) if error.kind() == Kind::InUse && !self.holds.is_held(&model) && Instant::now() < late => {
                    sleep(LOOK).await;
                }
                answer => return answer,
            }
        }
    }

    /// Holds a model, loaded or not: until the guard is dropped neither time nor the wish for another model unloads it.
    pub(crate) fn hold(&self, model: ModelId) -> Held {
        self.holds.hold(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::supervisor::{self, Settings};
    use std::path::PathBuf;
    use tokio::task::JoinSet;

    /// A supervisor whose workers cannot be started: what is asked here needs none.
    fn supervisor(tasks: &mut JoinSet<()>) -> Supervisor {
        let settings = Settings {
            program: PathBuf::from("/nowhere"),
            cache: PathBuf::new(),
            threads: 1,
            load_timeout: Duration::from_secs(1),
            hang_timeout: Duration::from_secs(1),
            spares: supervisor::Spares::Never,
            idle_timeout: None,
            self_check: None,
            worker_memory: None,
            min_residency: Duration::ZERO,
            max_models: None,
            max_loads: 1,
            defaults: Vec::new(),
            preloaded: Vec::new(),
            called: Vec::new(),
        };
        Supervisor::start(settings, tasks).expect("a thread")
    }

    async fn held(supervisor: &Supervisor) -> usize {
        let view = supervisor.view().await.expect("it answers");
        view.models.iter().find(|model| model.id == ModelId::SelfTest).map_or(0, |model| model.held)
    }

    #[tokio::test]
    async fn what_is_held_when_it_is_asked_is_in_use() {
        let mut tasks = JoinSet::new();
        let supervisor = supervisor(&mut tasks);
        let model = ModelId::SelfTest;
        assert!(!supervisor.unload_unused(model.clone()).await.expect("nobody uses it"));
        // Each time at once, whatever the task has heard of by then.
        for _ in 0..100 {
            let guards = [(); 2].map(|()| supervisor.hold(model.clone()));
            let refused = supervisor.unload_unused(model.clone()).await.expect_err("it is held");
            assert_eq!(refused.kind(), Kind::InUse);
            drop(guards);
            assert!(!supervisor.unload_unused(model.clone()).await.expect("nobody uses it any more"));
        }
        let guard = supervisor.hold(model);
        assert_eq!(held(&supervisor).await, 1);
        drop(guard);
        assert_eq!(held(&supervisor).await, 0);
    }

    #[tokio::test]
    async fn a_guard_outlives_the_supervisor() {
        let mut tasks = JoinSet::new();
        let supervisor = supervisor(&mut tasks);
        let guard = supervisor.hold(ModelId::SelfTest);
        supervisor.stop().await;
        while tasks.join_next().await.is_some() {}
        let other = supervisor.hold(ModelId::SelfTest);
        drop(guard);
        let refused = supervisor.unload_unused(ModelId::SelfTest).await.expect_err("it has gone");
        assert_eq!(refused.kind(), Kind::Unavailable);
        let refused = supervisor.reload(ModelId::SelfTest, None).await.expect_err("it has gone");
        assert_eq!(refused.kind(), Kind::Unavailable);
        drop((supervisor, other));
    }

    #[tokio::test]
    async fn everybody_who_waits_for_a_reload_is_told() {
        let mut tasks = JoinSet::new();
        let supervisor = supervisor(&mut tasks);
        let elsewhere = ModelId::Called { address: "http://127.0.0.1:1".to_owned(), recognises: true };
        let reload = || supervisor.reload(elsewhere.clone(), None);
        let (first, second) = tokio::join!(reload(), reload());
        for refused in [first, second] {
            assert_eq!(refused.expect_err("it is not ours").kind(), Kind::Unsupported);
        }
        // One that is not loaded is loaded, as far as that can be done.
        let refused = supervisor.reload(ModelId::SelfTest, None).await.expect_err("no worker can be started");
        assert_eq!(refused.kind(), Kind::Unavailable);
    }
}
