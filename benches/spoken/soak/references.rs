//! What an undisturbed server says.

use crate::{
    Result,
    caller::{Caller, FRAME},
    options::Model,
    texts::SMALL_TALK,
};
use bytes::Bytes;
use std::collections::HashMap;

/// Seeds of the noise in voices. Few, for each text is heard with each.
pub(super) const SEEDS: [u64; 2] = [7, 11];

/// The sound of each text, by each model, with each seed.
pub(super) struct References(HashMap<(usize, u64, usize), Bytes>);

impl References {
    /// Hears all of them. Models go by their place among these.
    pub(super) async fn hear(address: &str, models: &[Model]) -> Result<Self> {
        let caller = Caller::connect(address).await?;
        let mut references = HashMap::new();
        for (number, model) in models.iter().enumerate() {
            for seed in SEEDS {
                let session = format!("calm-{number}-{seed}");
                let told = seed.to_string();
                let options = [("pacing", "none"), ("seed", told.as_str())];
                if !caller.begin(&session, &model.id, &options).await? {
                    return Err("an idle server has no room".into());
                }
                for (text, words) in SMALL_TALK.iter().enumerate() {
                    let audio = hear(&caller, &session, words).await?;
                    references.insert((number, seed, text), audio);
                }
                caller.end(&session).await?;
            }
        }
        Ok(Self(references))
    }

    /// One of them. All that can be asked for are there.
    pub(super) fn of(&self, model: usize, seed: u64, text: usize) -> Bytes {
        self.0.get(&(model, seed, text)).cloned().unwrap_or_default()
    }
}

async fn hear(caller: &Caller, session: &str, text: &str) -> Result<Bytes> {
    let (mut frames, mut audio) = (caller.speak(session, text).await?, Vec::new());
    let mut is_over = false;
    while let Some(frame) = frames.message().await? {
        audio.extend_from_slice(&frame.audio_data);
        is_over = frame.is_final;
    }
    if !is_over || audio.is_empty() || !audio.len().is_multiple_of(FRAME) {
        return Err(format!("undisturbed, `{text}` is {} bytes, over: {is_over}", audio.len()).into());
    }
    Ok(audio.into())
}
