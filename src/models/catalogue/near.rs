//! What a name that is almost right may have meant. Pure.

/// Names that are suggested at most.
const MOST: usize = 3;

/// The names that are near, the nearest first: those that begin with it, then those that are a few letters away.
pub(super) fn suggestions<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = folded(name);
    // One letter in three may be wrong.
    let farthest = (wanted.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let folded = folded(known);
            let distance = match wanted.len() >= 3 && folded.starts_with(&wanted) {
                true => 1,
                // Two letters that have changed places are one slip.
                false => 1 + strsim::osa_distance(&wanted, &folded),
            };
            (distance <= 1 + farthest).then_some((distance, known))
        })
        .collect();
    near.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.len().cmp(&b.1.len())).then(a.1.cmp(b.1)));
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// The letters that count: "en-us" and "en_US" are one.
pub(super) fn folded(name: &str) -> String {
    name.chars().map(|character| if character == '-' { '_' } else { character.to_ascii_lowercase() }).collect()
}
