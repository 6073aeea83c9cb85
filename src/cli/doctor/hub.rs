//! The hub that models come from: what the environment says of it, and whether it answers, if that is asked.

use super::{finding::Finding, patience};
use crate::{
    config,
    error::Result,
    models::{
        catalogue::{self, whisper},
        hub::{Hub, Origin, Refusal, Settings},
    },
};
use std::time::{Duration, Instant};

const NAME: &str = "hub";

/// How long it may take to answer. It has limits of its own, which end before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the settings say, and what the hub says if it is to be asked.
pub(super) async fn findings(is_online: bool) -> Vec<Finding> {
    let settings = match Settings::read(config::env) {
        Ok(settings) => settings,
        Err(error) => return vec![Finding::of_error(NAME, &error).or_way_out("set the variable anew, or unset it")],
    };
    let mut found = vec![of_settings(&settings, is_online)];
    if is_online && settings.offline.is_none() {
        found.push(patience::finding(NAME, PATIENCE, move || asked(&settings)).await);
    }
    found
}

fn of_settings(settings: &Settings, is_online: bool) -> Finding {
    let token = match &settings.token {
        Some(token) => format!("a token from {}", token.from),
        None => "no token".to_owned(),
    };
    let proxy = settings.proxy().map(|(host, name)| format!(", proxy {host} ({name})")).unwrap_or_default();
    let found = format!("{}, {token}{proxy}", settings.endpoint);
    match settings.offline {
        Some(variable) => {
            let found = format!("{found}, offline by {variable}: no model can be pulled");
            Finding::note(NAME, found, format!("unset {variable}"))
        }
        None if is_online => Finding::ok(NAME, found),
        None => Finding::ok(NAME, format!("{found}; not asked whether it answers, `--online` does")),
    }
}

/// Asks for what is known of the first model that anybody would pull, and takes none of it.
fn asked(settings: &Settings) -> Finding {
    let began = Instant::now();
    match ask(settings) {
        Ok(()) => {
            let seconds = began.elapsed().as_secs_f64();
            Finding::ok(NAME, format!("{} answers in {seconds:.1} s", settings.endpoint))
        }
        Err(error) => Finding::of_error(NAME, &error),
    }
}

fn ask(settings: &Settings) -> Result<()> {
    let hub = Hub::new(settings)?;
    for part in catalogue::package(whisper::FIRST, None)?.parts {
        match hub.announced(&part.source) {
            Ok(_) | Err(Refusal::NoSuchRange) => {}
            Err(Refusal::Final(error) | Refusal::Passing { error, .. }) => return Err(error),
        }
    }
    Ok(())
}
