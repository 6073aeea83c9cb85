//! What characters mean for the end of a sentence.

use unicode_width::UnicodeWidthChar;

/// How surely a mark ends a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `.` and `…`, which do other things too.
    Soft,
    /// `?` and `!`: always before a space, but in a quotation.
    Strong,
    /// Marks of scripts that use them for nothing else, and need no space behind.
    Hard,
}

/// The kind of a mark, `None` for another character.
pub(super) fn mark(character: char) -> Option<Mark> {
    Some(match character {
        '.' | '…' => Mark::Soft,
        '?' | '!' | '‼' | '⁇' | '⁈' | '⁉' | '‽' | '\u{37E}' => Mark::Strong,
        '。' | '｡' | '！' | '？' | '．'        // Chinese, Japanese
        | '؟' | '۔'                              // Arabic, Urdu
        | '।' | '॥'                              // Devanagari and its kin
        | '։' | '჻' | '።' | '፧'                 // Armenian, Georgian, Ethiopic
        | '។' | '။' => Mark::Hard,              // Khmer, Burmese
        _ => return None,
    })
}

/// Whether it may stand between a mark and the end of its sentence. `*` and `_` are emphasis in Markdown.
pub(super) fn is_closer(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '“' | '‘' | '«' | '‹' | '*' | '_') || is_spaced_closer(character)
}

/// Whether it closes even with a space before it, as in « Bonjour ! ».
pub(super) fn is_spaced_closer(character: char) -> bool {
    matches!(character, '»' | '›' | ')' | ']' | '}')
        || matches!(character, '」' | '』' | '】' | '〉' | '》' | '〕' | '）' | '］' | '｝' | '｣' | '＂' | '＇')
}

/// Whether it may stand between a gap and the first letter of a sentence.
pub(super) fn is_opener(character: char) -> bool {
    matches!(character, '"' | '\'' | '“' | '‘' | '„' | '‚' | '”' | '’' | '«' | '»' | '‹' | '›' | '*' | '_' | '¿' | '¡')
        || matches!(character, '(' | '[' | '{' | '「' | '『' | '【' | '〈' | '《' | '（')
}

/// Whether it is a dash that may begin what a person says.
pub(super) fn is_dash(character: char) -> bool {
    matches!(character, '-' | '–' | '—' | '―')
}

/// Whether a sentence can be cut behind it when it is too long and a gap follows.
pub(super) fn is_clause_mark(character: char) -> bool {
    matches!(character, ',' | ';' | ':' | '،' | '؛' | '·') || is_dash(character) || is_wide_clause_mark(character)
}

/// Whether a sentence can be cut behind it without a gap.
pub(super) fn is_wide_clause_mark(character: char) -> bool {
    matches!(character, '、' | '，' | '；' | '：' | '､' | '—')
}

/// Whether it goes on what is before it: no cut is made in front of it, if another place can be found.
pub(super) fn is_joined(before: char, character: char) -> bool {
    const ZERO_WIDTH_JOINER: char = '\u{200D}';
    let is_flag = |character: char| ('\u{1F1E6}'..='\u{1F1FF}').contains(&character);
    extends(character)
        || before == ZERO_WIDTH_JOINER
        || matches!(character, '\u{1F3FB}'..='\u{1F3FF}') // colours of skin
        || (is_flag(before) && is_flag(character))
}

/// Whether it is a combining mark, a joiner or another character that takes no room of its own.
pub(super) fn extends(character: char) -> bool {
    !character.is_control() && character.width() == Some(0)
}

/// Whether it is Chinese, Japanese or Korean and a syllable or more.
pub(super) fn is_wide(character: char) -> bool {
    matches!(character, '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}')
        || matches!(character, '\u{FF00}'..='\u{FF9F}' | '\u{20000}'..='\u{3FFFF}')
}

/// Columns that it takes on a screen.
pub(super) fn columns(character: char) -> usize {
    character.width().unwrap_or(0)
}
