//! Who speaks in a session: by the name of a model, a voice of it, or a language.

use super::options::Wanted;
use crate::{
    error::{Error, Result},
    models::Paths,
    server::{
        DEFAULT_VOICE,
        speaking::{Cast, Speaker, Style},
    },
    speech::ModelId,
};

/// Finds who is meant.
///
/// # Errors
/// `InvalidInput` for a voice that is not the model's, or a language that it does not speak; as those of
/// [`Speaker::cast`].
pub(super) async fn cast(speaker: &Speaker, model: &str, wanted: &Wanted, paths: Paths) -> Result<Cast> {
    let (voice, language) = (wanted.voice.as_str(), wanted.language.as_str());
    let elsewhere = speaker.supervisor.directory().find(model, ModelId::speaks);
    let cast = match (model, elsewhere) {
        ("", _) if voice.is_empty() && !language.is_empty() => {
            let style = Style { region: language.to_owned(), ..Style::default() };
            return speaker.cast(&style, paths, None).await;
        }
        ("", _) => named(speaker, voice, paths).await?,
        // By its own voices, whatever else is installed for the language.
        ("espeak", _) => {
            let voice = [voice, language, DEFAULT_VOICE].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
            Cast { model: ModelId::Espeak, voice: voice.to_owned(), shown: voice.to_owned() }
        }
        (_, Some(model @ (ModelId::Called { .. } | ModelId::DialledIn { .. }))) => {
            Cast { shown: model.to_string(), model, voice: voice.to_owned() }
        }
        (model, _) => {
            if !voice.is_empty() && voice != model {
                let message = format!("model `{}` has one voice, its own; leave the voice out", model.escape_debug());
                return Err(Error::invalid(message).in_field("options"));
            }
            named(speaker, model, paths).await?
        }
    };
    let spoken = self::language(&cast, "");
    if !language.is_empty() && !spoken.is_empty() && primary(language) != primary(&spoken) {
        let message = format!("voice `{}` speaks {spoken}, not {}", cast.shown, language.escape_debug());
        return Err(Error::invalid(message).in_field("options"));
    }
    Ok(cast)
}

/// The language of a session, as far as it is known: BCP 47. Workers elsewhere call their voices as they like.
pub(super) fn language(cast: &Cast, wanted: &str) -> String {
    match cast.model() {
        ModelId::Called { .. } | ModelId::DialledIn { .. } => wanted.to_owned(),
        _ => cast.language(),
    }
}

async fn named(speaker: &Speaker, voice: &str, paths: Paths) -> Result<Cast> {
    let style = Style { voice: voice.to_owned(), ..Style::default() };
    speaker.cast(&style, paths, None).await
}

/// The language of a locale: "en" of "en-GB".
fn primary(locale: &str) -> String {
    locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}
