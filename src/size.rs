//! Numbers of bytes, as people read them.

/// A number of bytes to three digits: "312 MiB", "1.4 GiB".
pub(crate) fn in_words(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = "B";
    while value >= 999.5
        && let Some(larger) = units.next()
    {
        value /= 1024.0;
        unit = larger;
    }
    let digits = usize::from(unit != "B" && value < 9.95);
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes_read_as_people_write_them() {
        let sizes =
            [0, 999, 1000, 1500, 57 << 20, 10_433_331, 10_433_332, 1_530_000_000, 999 << 30, 1000 << 30, u64::MAX];
        let all = "0 B, 999 B, 1.0 KiB, 1.5 KiB, 57 MiB, 9.9 MiB, 10 MiB, 1.4 GiB, 999 GiB, 1.0 TiB, 16777216 TiB";
        assert_eq!(sizes.map(in_words).join(", "), all);
        let sizes = [0, 999, 1_000, 1 << 20, 327_155_712, 1_500_000_000, 10_736_000_000, i64::MAX as u64];
        let told = ["0 B", "999 B", "1.0 KiB", "1.0 MiB", "312 MiB", "1.4 GiB", "10 GiB", "8388608 TiB"];
        assert_eq!(sizes.map(in_words), told);
    }
}
