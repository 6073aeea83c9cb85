//! Values of flags that several verbs take.

/// Reads a size: bytes, or with K, M, G, T behind it, which count by 1024.
///
/// # Errors
/// A sentence for clap.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "it is no size: give bytes, or a number with K, M, G or T behind it".to_owned();
    if !text.starts_with(|character: char| character.is_ascii_digit()) {
        return Err(wrong());
    }
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default().to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(|| "it is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let good = [("0", 0), ("4096", 4096), ("16M", 16 << 20), ("2g", 2 << 30), ("512MiB", 512 << 20), ("1KB", 1024)];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "M", "-1", "1.5G", "2X", "1 G", "99999999999999999999", "99999999T", "2GG", "1iB5", "+5"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
