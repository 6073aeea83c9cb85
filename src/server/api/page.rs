//! Lists in pages: filter, order, token. Pure.

use crate::error::{Error, Result};

/// Entries on a page that asks for no number.
const DEFAULT_SIZE: usize = 100;

/// Entries on the largest page.
const MAX_SIZE: usize = 1_000;

/// What a caller wants of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish<'a> {
    /// Entries on the page; 0 = 100.
    pub(crate) page_size: i32,
    /// From the page before.
    pub(crate) page_token: &'a str,
    /// `FIELD=VALUE AND …`.
    pub(crate) filter: &'a str,
    /// `FIELD` or `FIELD desc`.
    pub(crate) order_by: &'a str,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page<T> {
    /// The entries.
    pub(crate) entries: Vec<T>,
    /// Names the next page; empty on the last one.
    pub(crate) next_page_token: String,
    /// Entries on all pages.
    pub(crate) total: usize,
}

/// An entry of a list that can be filtered and ordered.
pub(crate) trait Listed {
    /// The fields that can be named, the default order first.
    const FIELDS: &'static [&'static str];

    /// Whether a field has a value; what that means is the field's own affair.
    fn matches(&self, field: &str, value: &str) -> bool;

    /// What a field is ordered by.
    fn key(&self, field: &str) -> String;
}

/// Makes the page that is wanted.
///
/// # Errors
/// `InvalidInput`, naming the field of the request: an unknown field, a token that is not ours or belongs to another
/// filter, a negative size.
pub(crate) fn page<T: Listed>(entries: Vec<T>, wish: &Wish<'_>) -> Result<Page<T>> {
    let size = match usize::try_from(wish.page_size) {
        Ok(0) => DEFAULT_SIZE,
        Ok(size) => size.min(MAX_SIZE),
        Err(_) => return Err(Error::invalid("page_size cannot be negative").in_field("page_size")),
    };
    let terms = terms::<T>(wish.filter)?;
    let (field, descending) = order::<T>(wish.order_by)?;
    let start = start(wish)?;
    let mut entries: Vec<T> =
        entries.into_iter().filter(|entry| terms.iter().all(|(field, value)| entry.matches(field, value))).collect();
    entries.sort_by_cached_key(|entry| (entry.key(field), entry.key(T::FIELDS[0])));
    if descending {
        entries.reverse();
    }
    let total = entries.len();
    if start > total {
        return Err(bad_token());
    }
    let entries: Vec<T> = entries.into_iter().skip(start).take(size).collect();
    let end = start + entries.len();
    let next_page_token = if end < total { format!("{end}-{:08x}", fingerprint(wish)) } else { String::new() };
    Ok(Page { entries, next_page_token, total })
}

fn terms<T: Listed>(filter: &str) -> Result<Vec<(&str, &str)>> {
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    filter.split(" AND ").map(term::<T>).collect()
}

fn term<T: Listed>(term: &str) -> Result<(&str, &str)> {
    let wrong = |message: String| Error::invalid(message).in_field("filter");
    let (field, value) =
        term.split_once('=').ok_or_else(|| wrong(format!("filter term `{}` is not `FIELD=VALUE`", term.trim())))?;
    let (field, value) = (field.trim(), value.trim().trim_matches('"'));
    if !T::FIELDS.contains(&field) {
        return Err(wrong(format!("there is no field `{field}` to filter by; there are {}", T::FIELDS.join(", "))));
    }
    Ok((field, value))
}

fn order<T: Listed>(order_by: &str) -> Result<(&str, bool)> {
    let (field, descending) = match order_by.trim() {
        "" => (T::FIELDS[0], false),
        other => match other.strip_suffix(" desc") {
            Some(field) => (field.trim(), true),
            None => (other, false),
        },
    };
    if T::FIELDS.contains(&field) {
        return Ok((field, descending));
    }
    let message = format!("there is no field `{field}` to order by; there are {}", T::FIELDS.join(", "));
    Err(Error::invalid(message).in_field("order_by"))
}

/// Where the page starts. The token says which filter and order it was made for; under another it would skip entries.
fn start(wish: &Wish<'_>) -> Result<usize> {
    if wish.page_token.is_empty() {
        return Ok(0);
    }
    let (start, of) = wish.page_token.split_once('-').ok_or_else(bad_token)?;
    if u32::from_str_radix(of, 16) != Ok(fingerprint(wish)) {
        return Err(bad_token());
    }
    start.parse().map_err(|_| bad_token())
}

fn bad_token() -> Error {
    let message = "page_token is not one that this list gave for this filter and order; begin without one";
    Error::invalid(message).in_field("page_token")
}

fn fingerprint(wish: &Wish<'_>) -> u32 {
    crc32fast::hash(format!("{}\0{}", wish.filter, wish.order_by).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Listed for u32 {
        const FIELDS: &'static [&'static str] = &["number", "parity"];

        fn matches(&self, field: &str, value: &str) -> bool {
            if field == "parity" { self.is_multiple_of(2) == (value == "even") } else { self.to_string() == value }
        }

        fn key(&self, field: &str) -> String {
            if field == "parity" { (self % 2).to_string() } else { format!("{self:05}") }
        }
    }

    fn wish<'a>(page_size: i32, page_token: &'a str, filter: &'a str, order_by: &'a str) -> Wish<'a> {
        Wish { page_size, page_token, filter, order_by }
    }

    proptest! {
        #[test]
        fn the_pages_together_are_the_list(count in 0u32..300, size in 1i32..120) {
            let mut seen = Vec::new();
            let mut token = String::new();
            loop {
                let page = page((0..count).collect(), &wish(size, &token, "", "number desc")).expect("a page");
                prop_assert_eq!(page.total, count as usize);
                seen.extend(page.entries);
                token = page.next_page_token;
                if token.is_empty() { break }
            }
            prop_assert_eq!(seen, (0..count).rev().collect::<Vec<_>>());
        }

        #[test]
        fn no_token_panics(token in ".*") {
            drop(page((0..10u32).collect(), &wish(3, &token, "", "")));
        }
    }

    #[test]
    fn a_filter_picks() {
        let page = page((0..10u32).collect(), &wish(0, "", "parity=even AND number=4", "")).expect("a page");
        assert_eq!((page.entries, page.total), (vec![4], 1));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let field = |wish: Wish<'_>| page((0..10u32).collect(), &wish).expect_err("nonsense").details().field.clone();
        assert_eq!(field(wish(-1, "", "", "")).as_deref(), Some("page_size"));
        assert_eq!(field(wish(0, "7", "", "")).as_deref(), Some("page_token"));
        assert_eq!(field(wish(0, "", "colour=red", "")).as_deref(), Some("filter"));
        assert_eq!(field(wish(0, "", "number", "")).as_deref(), Some("filter"));
        assert_eq!(field(wish(0, "", "", "colour")).as_deref(), Some("order_by"));
        let token = page((0..10u32).collect(), &wish(3, "", "", "")).expect("a page").next_page_token;
        assert_eq!(field(wish(3, &token, "parity=even", "")).as_deref(), Some("page_token"));
    }
}
