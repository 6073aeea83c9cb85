//! The part of SSML that a voice of Piper can follow. What it cannot is refused by name, never left out silently.
//!
//! | element | what of it |
//! |---|---|
//! | `speak` | the root; `version`, `xml:lang` and namespaces are read and change nothing |
//! | `p`, `s` | end a paragraph, a sentence |
//! | `break` | `time` ("500ms", "1.5s", at most a minute), `strength` |
//! | `prosody` | `rate`: "x-slow" to "x-fast", "80%", "+20%", "1.2"; inner ones multiply |
//! | `say-as` | `interpret-as`: "characters", "spell-out", "cardinal" |
//! | `phoneme` | `alphabet="ipa"`, `ph` |
//! | `sub` | `alias` |
//! | `mark` | `name` |

use crate::error::{Error, Result};
use roxmltree::{Document, Node, ParsingOptions};
use std::time::Duration;

/// How deep elements may lie in each other: each costs a frame of the stack here, though not in roxmltree.
const DEEPEST: usize = 32;

/// How many nodes a document may have.
const MOST_NODES: u32 = 100_000;

/// The longest break, and all breaks together.
const LONGEST_BREAK: Duration = Duration::from_secs(60);
const ALL_BREAKS: Duration = Duration::from_secs(3600);

/// The rates that are left when those of elements in each other are multiplied.
const RATES: std::ops::RangeInclusive<f32> = 0.1..=10.0;

/// A piece of what is to be said, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text, in which every white space is one space.
    Text(Said),
    /// IPA.
    Phonemes(Said),
    /// Text to be said character by character.
    Characters(Said),
    /// Silence.
    Break(Duration),
    /// A name, and its place in the document.
    Mark(String, usize),
    /// A sentence ends.
    SentenceEnd,
    /// A paragraph ends.
    ParagraphEnd,
}

/// Something that is said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// What.
    pub(super) text: String,
    /// Times the normal speed.
    pub(super) rate: f32,
    /// Its first byte in the document, where `text` stands there byte for byte.
    pub(super) at: Option<usize>,
}

/// Reads a document.
///
/// # Errors
/// `InvalidInput` in the field "ssml", for what is not XML and for what a voice cannot follow, with its name.
pub(super) fn pieces(document: &str) -> Result<Vec<Piece>> {
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let parsed = Document::parse_with_options(document, options)
        .map_err(|error| refusal("the SSML cannot be read").because(error))?;
    let root = parsed.root_element();
    if root.tag_name().name() != "speak" {
        return Err(refusal(format!("the SSML starts with {}; it has to be `<speak>`", name(root))));
    }
    let mut reader = Reader { document, pieces: Vec::new(), breaks: Duration::ZERO };
    check_attributes(root, &["version", "lang", "schemaLocation"])?;
    reader.children(root, 1.0, 1)?;
    Ok(reader.pieces)
}

fn refusal(message: impl Into<String>) -> Error {
    Error::invalid(message).in_field("ssml")
}

/// An element as errors name it.
fn name(node: Node<'_, '_>) -> String {
    format!("`<{}>`", shown(node.tag_name().name()))
}

/// Enough of a name or a value to find it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Refuses attributes that are not among these.
fn check_attributes(node: Node<'_, '_>, known: &[&str]) -> Result<()> {
    match node.attributes().find(|attribute| !known.contains(&attribute.name())) {
        None => Ok(()),
        Some(other) => {
            Err(refusal(format!("`{}` on {} is not something this voice can do", shown(other.name()), name(node))))
        }
    }
}

/// The value of an attribute that has to be there.
fn needed<'a>(node: Node<'a, '_>, attribute: &str) -> Result<&'a str> {
    let value = node.attribute(attribute).map(str::trim).filter(|value| !value.is_empty());
    value.ok_or_else(|| refusal(format!("{} needs `{attribute}`", name(node))))
}

fn bad_value(node: Node<'_, '_>, attribute: &str, value: &str, wanted: &str) -> Error {
    refusal(format!("`{attribute}=\"{}\"` on {}: {wanted}", shown(value), name(node)))
}

/// Walks a document.
struct Reader<'a> {
    document: &'a str,
    pieces: Vec<Piece>,
    breaks: Duration,
}

impl Reader<'_> {
    fn children(&mut self, parent: Node<'_, '_>, rate: f32, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(refusal(format!("the SSML has elements in each other more than {DEEPEST} deep")));
        }
        for node in parent.children() {
            if node.is_element() {
                self.element(node, rate, depth + 1)?;
            } else if let Some(text) = node.text().filter(|_| node.is_text()) {
                let said = self.said(node, text, rate);
                self.pieces.push(Piece::Text(said));
            }
        }
        Ok(())
    }

    fn element(&mut self, node: Node<'_, '_>, rate: f32, depth: usize) -> Result<()> {
        match node.tag_name().name() {
            "p" => self.part(node, rate, depth, Piece::ParagraphEnd)?,
            "s" => self.part(node, rate, depth, Piece::SentenceEnd)?,
            "break" => self.pause(node)?,
            "prosody" => {
                check_attributes(node, &["rate"])?;
                let rate = rate * own_rate(node)?;
                if !RATES.contains(&rate) {
                    return Err(refusal(format!("rates in the SSML come to {rate:.2}; 0.1 to 10 can be done")));
                }
                self.children(node, rate, depth)?;
            }
            "say-as" => self.say_as(node, rate)?,
            "phoneme" => {
                check_attributes(node, &["alphabet", "ph"])?;
                let alphabet = needed(node, "alphabet")?;
                if alphabet != "ipa" {
                    return Err(bad_value(node, "alphabet", alphabet, "`ipa` is known"));
                }
                let text = needed(node, "ph")?.to_owned();
                self.pieces.push(Piece::Phonemes(Said { text, rate, at: None }));
            }
            "sub" => {
                check_attributes(node, &["alias"])?;
                let text = one_line(needed(node, "alias")?);
                self.pieces.push(Piece::Text(Said { text, rate, at: None }));
            }
            "mark" => {
                check_attributes(node, &["name"])?;
                self.pieces.push(Piece::Mark(needed(node, "name")?.to_owned(), node.range().start));
            }
            _ => return Err(refusal(format!("{} is not something this voice can do", name(node)))),
        }
        Ok(())
    }

    fn part(&mut self, node: Node<'_, '_>, rate: f32, depth: usize, end: Piece) -> Result<()> {
        check_attributes(node, &[])?;
        // What went before, outside of it, is not part of it.
        self.pieces.push(Piece::SentenceEnd);
        self.children(node, rate, depth)?;
        self.pieces.push(end);
        Ok(())
    }

    fn pause(&mut self, node: Node<'_, '_>) -> Result<()> {
        check_attributes(node, &["time", "strength"])?;
        let strength = node.attribute("strength").map(|value| strength(node, value)).transpose()?;
        let time = node.attribute("time").map(|value| time(node, value)).transpose()?;
        let pause = time.or(strength).unwrap_or(MEDIUM);
        self.breaks += pause;
        if self.breaks > ALL_BREAKS {
            return Err(refusal("the breaks of the SSML are longer than an hour together"));
        }
        self.pieces.push(Piece::Break(pause));
        Ok(())
    }

    fn say_as(&mut self, node: Node<'_, '_>, rate: f32) -> Result<()> {
        check_attributes(node, &["interpret-as"])?;
        let how = needed(node, "interpret-as")?;
        if let Some(element) = node.children().find(Node::is_element) {
            return Err(refusal(format!("{} stands in {}, which takes text only", name(element), name(node))));
        }
        for child in node.children().filter(Node::is_text) {
            let said = self.said(child, child.text().unwrap_or_default(), rate);
            self.pieces.push(match how {
                "characters" | "spell-out" => Piece::Characters(said),
                "cardinal" => Piece::Text(said),
                _ => {
                    let wanted = "`characters`, `spell-out` and `cardinal` are known";
                    return Err(bad_value(node, "interpret-as", how, wanted));
                }
            });
        }
        Ok(())
    }

    /// Text of a node, with its place if it has no entities or the like.
    fn said(&self, node: Node<'_, '_>, text: &str, rate: f32) -> Said {
        let range = node.range();
        let is_verbatim = self.document.get(range.clone()) == Some(text);
        Said { text: one_line(text), rate, at: is_verbatim.then_some(range.start) }
    }
}

/// Indentation and line ends are no paragraphs in XML. Each becomes a space, so that places stay.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_whitespace() { ' ' } else { c }).collect()
}

/// Without any attribute, a break is as for "medium".
const MEDIUM: Duration = Duration::from_millis(210);

/// As espeak-ng has them, in ssml.c.
fn strength(node: Node<'_, '_>, value: &str) -> Result<Duration> {
    let milliseconds = match value.trim() {
        "none" => 0,
        "x-weak" => 70,
        "weak" => 140,
        "medium" => return Ok(MEDIUM),
        "strong" => 400,
        "x-strong" => 800,
        _ => return Err(bad_value(node, "strength", value, "`none`, `x-weak` to `x-strong` are known")),
    };
    Ok(Duration::from_millis(milliseconds))
}

fn time(node: Node<'_, '_>, value: &str) -> Result<Duration> {
    let trimmed = value.trim();
    let number = |number: &str, unit: f64| Some(decimal(number)? * unit);
    let seconds = match trimmed.strip_suffix("ms") {
        Some(milliseconds) => number(milliseconds, 1e-3),
        None => trimmed.strip_suffix('s').and_then(|seconds| number(seconds, 1.0)),
    };
    let pause = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    pause
        .filter(|pause| *pause <= LONGEST_BREAK)
        .ok_or_else(|| bad_value(node, "time", value, "it has to be like `500ms` or `1.5s`, up to a minute"))
}

/// A number in digits with or without a point. Rust's own reader also takes "inf" and "1e9".
fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_decimal)
}

/// Words for rates as in espeak-ng's ssml.c, in percent.
fn own_rate(node: Node<'_, '_>) -> Result<f32> {
    let value = needed(node, "rate")?;
    let rate = match value {
        "x-slow" => Some(0.6),
        "slow" => Some(0.8),
        "medium" | "default" => Some(1.0),
        "fast" => Some(1.25),
        "x-fast" => Some(1.6),
        _ => match value.strip_suffix('%') {
            None => decimal(value),
            Some(percent) => match (percent.strip_prefix('+'), percent.strip_prefix('-')) {
                (Some(more), _) => decimal(more).map(|more| 1.0 + more / 100.0),
                (None, Some(less)) => decimal(less).map(|less| 1.0 - less / 100.0),
                (None, None) => decimal(percent).map(|percent| percent / 100.0),
            },
        },
    };
    let wanted = "`x-slow` to `x-fast`, `80%`, `+20%` and `1.2` are known, from 0.1 to 10 times the normal rate";
    rate.map(|rate| rate as f32)
        .filter(|rate| RATES.contains(rate))
        .ok_or_else(|| bad_value(node, "rate", value, wanted))
}

#[cfg(test)]
mod tests;
