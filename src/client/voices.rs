//! `speechctl voices`: who can speak.

use crate::{
    client::{ConnectArgs, Connection, Context, json, output::printable},
    error::{Error, Kind, Result},
    proto::v1,
};
use std::fmt::Write;

/// The speakers of a voice that the table names.
const SHOWN_SPEAKERS: usize = 3;

const EXAMPLES: &str = "\
Examples:
  speechctl voices
  speechctl voices --language pt
  speechctl voices --json | jq -r '.voices[].id'";

/// List the voices
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only those of a language: `en` also finds en-GB
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,

    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// The document of `--json`.
#[derive(serde::Serialize)]
struct Document {
    voices: Vec<Entry>,
    /// What may follow a voice of the espeak engine after a "+".
    variants: Vec<String>,
}

#[derive(serde::Serialize)]
struct Entry {
    id: String,
    name: String,
    languages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'static str>,
    engine: String,
    sample_rate: i32,
    is_default: bool,
    /// In the order of their numbers; left out where there is only one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    speakers: Vec<String>,
}

/// Lists.
///
/// # Errors
/// `NotFound` for a language without a voice; what is wrong with the server.
pub(crate) async fn run(args: Args, context: Context) -> Result<()> {
    let output = context.output;
    let (connection, farewell) = context.connect().await?;
    let listed = list(&connection, args.language.as_deref()).await;
    farewell.say(connection).await;
    let document = listed?;
    if let (Some(language), true) = (&args.language, document.voices.is_empty()) {
        let message = format!("no voice speaks `{language}`; `speechctl voices` lists all");
        return Err(Error::new(Kind::NotFound, message));
    }
    if args.connect.json {
        return output.line(&json::document(&document)?);
    }
    output.bytes(table(&document).as_bytes())?;
    output.note(&format!("Each takes a variant, as in en-us+f3: {}.", document.variants.join(", ")));
    Ok(())
}

async fn list(connection: &Connection, language: Option<&str>) -> Result<Document> {
    let mut client = connection.speech();
    let filter = match language {
        Some(language) if language.contains([' ', '=', '"']) => {
            return Err(Error::invalid(format!("`{language}` is not a language code such as `en`")));
        }
        Some(language) => format!("language={language}"),
        None => String::new(),
    };
    let mut document = Document { voices: Vec::new(), variants: Vec::new() };
    let mut page_token = String::new();
    loop {
        let request = v1::ListVoicesRequest { page_token, filter: filter.clone(), ..Default::default() };
        let page = connection.answer(client.list_voices(connection.request(request))).await?.into_inner();
        document.voices.extend(page.voices.into_iter().map(entry));
        document.variants = page.variants;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(document);
        }
    }
}

fn entry(voice: v1::Voice) -> Entry {
    let gender = match voice.gender() {
        v1::Gender::Unspecified => None,
        v1::Gender::Female => Some("female"),
        v1::Gender::Male => Some("male"),
    };
    Entry {
        id: voice.id,
        name: voice.name,
        languages: voice.languages,
        gender,
        engine: voice.engine,
        sample_rate: voice.sample_rate_hertz,
        is_default: voice.is_default,
        speakers: voice.speakers,
    }
}

/// One line for each voice, in columns that are as wide as they must be.
fn table(document: &Document) -> String {
    let widest = document.voices.iter().map(|voice| voice.id.chars().count()).max().unwrap_or(0).max(5);
    let mut table = format!("{:widest$}  GENDER  ENGINE  NAME\n", "VOICE");
    for voice in &document.voices {
        let mark = if voice.is_default { " (default)" } else { "" };
        let gender = voice.gender.unwrap_or("-");
        // A String takes everything.
        let speakers = speakers(&voice.speakers);
        writeln!(table, "{:widest$}  {gender:6}  {:6}  {}{mark}{speakers}", voice.id, voice.engine, voice.name)
            .unwrap_or_default();
    }
    table
}

/// How many speakers a voice has, where there are several, and the first of them.
fn speakers(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN_SPEAKERS).map(|name| printable(name)).collect();
    let more = if names.len() > SHOWN_SPEAKERS { ", …" } else { "" };
    match names.len() {
        0 | 1 => String::new(),
        count => format!(" ({count} speakers: {}{more})", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_speakers_are_told() {
        let voice = |id: &str, speakers: &[&str]| v1::Voice {
            id: id.to_owned(),
            name: "A voice".to_owned(),
            engine: "piper".to_owned(),
            speakers: speakers.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        let voices = [voice("a", &[]), voice("b", &["p1", "p2"]), voice("c", &["1", "2", "3", "4\n"])];
        let document = Document { voices: voices.into_iter().map(entry).collect(), variants: Vec::new() };
        let table = table(&document);
        let names: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split("A voice").nth(1)).collect();
        assert_eq!(names, ["", " (2 speakers: p1, p2)", " (4 speakers: 1, 2, 3, …)"]);
        let json = serde_json::to_value(&document).expect("it is JSON");
        assert_eq!(json["voices"][1]["speakers"], serde_json::json!(["p1", "p2"]));
        assert_eq!(json["voices"][0].get("speakers"), None);
    }
}
