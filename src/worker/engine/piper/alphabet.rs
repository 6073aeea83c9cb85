//! The alphabet of a voice: which numbers its network knows for which phonemes.
//!
//! As Piper does it (`phoneme_ids.py`, `phonemize_espeak.py`): a sentence starts with "^", ends with "$", and "_" stands
//! after all but the last.

use crate::error::{Error, Result};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};
use unicode_normalization::UnicodeNormalization;

/// The phonemes that frame a sentence. Nothing else may stand for their ids.
const BEGIN: &str = "^";
const END: &str = "$";
const PAD: &str = "_";

/// Unknown phonemes that are named; beyond these one more says nothing new.
const NAMED: usize = 100;

/// The alphabet of a voice.
#[derive(Clone, Debug)]
pub(super) struct Alphabet {
    ids: HashMap<String, Vec<i64>>,
    /// Runs of code points that are one phoneme, the longest first.
    clusters: Vec<Vec<char>>,
    begin: Vec<i64>,
    end: Vec<i64>,
    pad: Vec<i64>,
}

/// A sentence in the numbers of a voice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    /// BOS PAD (ids PAD)* EOS.
    pub(super) ids: Vec<i64>,
    /// For each code point where its ids start, and where the end of the sentence does: never falling.
    pub(super) starts: Vec<usize>,
}

impl Alphabet {
    /// Takes `phoneme_id_map` and `vowel_clusters` of a voice's file, whose network knows `symbols` numbers.
    ///
    /// # Errors
    /// `InvalidInput` for a map without "^", "$" or "_", and for ids that the network does not have.
    pub(super) fn new(map: HashMap<String, Vec<i64>>, clusters: &[String], symbols: usize) -> Result<Self> {
        let symbols = i64::try_from(symbols).unwrap_or(i64::MAX);
        if let Some((phoneme, _)) = map.iter().find(|(_, ids)| ids.iter().any(|id| !(0..symbols).contains(id))) {
            let message = format!("the voice's phoneme_id_map gives `{phoneme}` an id outside of 0 to {}", symbols - 1);
            return Err(Error::invalid(message));
        }
        let frame = |phoneme: &str| {
            let ids = map.get(phoneme).filter(|ids| !ids.is_empty()).cloned();
            ids.ok_or_else(|| Error::invalid(format!("the voice's phoneme_id_map has no `{phoneme}`")))
        };
        let (begin, end, pad) = (frame(BEGIN)?, frame(END)?, frame(PAD)?);
        let mut clusters: Vec<Vec<char>> = clusters.iter().map(|cluster| cluster.nfd().collect()).collect();
        clusters.retain(|cluster| cluster.len() > 1);
        clusters.sort_by_key(|cluster| Reverse(cluster.len()));
        Ok(Self { ids: map, clusters, begin, end, pad })
    }

    /// Whether the voice knows this phoneme.
    pub(super) fn knows(&self, phoneme: char) -> bool {
        self.ids_of(phoneme.encode_utf8(&mut [0; 4])).is_some()
    }

    /// The numbers of a sentence, given in NFD. Phonemes that the voice does not know are left out, and told.
    pub(super) fn encode(&self, symbols: &[char], unknown: &mut BTreeSet<String>) -> Encoded {
        let mut ids = Vec::with_capacity(2 * symbols.len() + 3);
        ids.extend(self.begin.iter().chain(&self.pad));
        let mut starts = Vec::with_capacity(symbols.len() + 1);
        let mut rest = symbols;
        while let Some(phoneme) = self.next_phoneme(rest) {
            starts.resize(starts.len() + phoneme.len(), ids.len());
            rest = rest.get(phoneme.len()..).unwrap_or_default();
            let phoneme: String = phoneme.iter().collect();
            match self.ids_of(&phoneme) {
                Some(found) => ids.extend(found.iter().chain(&self.pad)),
                None if unknown.len() < NAMED => {
                    unknown.insert(phoneme);
                }
                None => {}
            }
        }
        starts.push(ids.len());
        ids.extend(&self.end);
        Encoded { ids, starts }
    }

    fn ids_of(&self, phoneme: &str) -> Option<&[i64]> {
        self.ids.get(phoneme).filter(|_| ![BEGIN, END, PAD].contains(&phoneme)).map(Vec::as_slice)
    }

    /// The phoneme that comes first: a cluster that the voice has ids for, or a code point.
    fn next_phoneme<'a>(&self, symbols: &'a [char]) -> Option<&'a [char]> {
        let is_known = |cluster: &&Vec<char>| self.ids_of(&cluster.iter().collect::<String>()).is_some();
        let cluster = self.clusters.iter().find(|cluster| symbols.starts_with(cluster) && is_known(cluster));
        symbols.get(..cluster.map_or(1, Vec::len))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An alphabet that knows these phonemes; the first has id 3.
    pub(crate) fn alphabet(phonemes: &[&str], clusters: &[&str]) -> Alphabet {
        let all = ["_", "^", "$"].iter().chain(phonemes).zip(0..);
        let map = all.map(|(phoneme, id)| ((*phoneme).to_owned(), vec![id])).collect();
        let clusters: Vec<String> = clusters.iter().map(|cluster| (*cluster).to_owned()).collect();
        Alphabet::new(map, &clusters, 100).expect("a good map")
    }

    fn encoded(alphabet: &Alphabet, text: &str) -> (Vec<i64>, Vec<String>) {
        let mut unknown = BTreeSet::new();
        let symbols: Vec<char> = text.chars().collect();
        (alphabet.encode(&symbols, &mut unknown).ids, unknown.into_iter().collect())
    }

    #[test]
    fn a_sentence_is_framed_and_padded() {
        let alphabet = alphabet(&["a", "b"], &[]);
        assert_eq!(encoded(&alphabet, "ab"), (vec![1, 0, 3, 0, 4, 0, 2], vec![]));
        assert_eq!(encoded(&alphabet, ""), (vec![1, 0, 2], vec![]));
    }

    #[test]
    fn unknown_phonemes_are_left_out_and_told_once() {
        let alphabet = alphabet(&["a"], &[]);
        assert_eq!(
            encoded(&alphabet, "xa^x$_"),
            (vec![1, 0, 3, 0, 2], ["$", "^", "_", "x"].map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn the_longest_cluster_that_has_ids_is_one_phoneme() {
        let alphabet = alphabet(&["a", "ɪ", "aɪ", "aɪa"], &["aɪ", "aɪa", "ɪa"]);
        assert_eq!(encoded(&alphabet, "aɪ").0, [1, 0, 5, 0, 2]);
        assert_eq!(encoded(&alphabet, "aɪaɪ").0, [1, 0, 6, 0, 4, 0, 2]);
        assert_eq!(encoded(&alphabet, "ɪa").0, [1, 0, 4, 0, 3, 0, 2], "a cluster without ids is no phoneme");
    }

    #[test]
    fn keys_of_several_code_points_need_a_cluster() {
        let alphabet = alphabet(&["a", "ɪ", "aɪ"], &[]);
        assert_eq!(encoded(&alphabet, "aɪ").0, [1, 0, 3, 0, 4, 0, 2]);
    }

    #[test]
    fn a_map_that_cannot_frame_or_asks_too_much_is_refused() {
        let map = |pairs: &[(&str, &[i64])]| pairs.iter().map(|(key, ids)| ((*key).to_owned(), ids.to_vec())).collect();
        let refusal = |pairs: &[(&str, &[i64])]| Alphabet::new(map(pairs), &[], 4).expect_err("a bad map").to_string();
        assert!(refusal(&[("_", &[0]), ("^", &[1])]).contains("`$`"));
        assert!(refusal(&[("_", &[]), ("^", &[1]), ("$", &[2])]).contains("`_`"));
        assert!(refusal(&[("_", &[0]), ("^", &[1]), ("$", &[2]), ("a", &[4])]).contains("`a`"));
        assert!(refusal(&[("_", &[0]), ("^", &[1]), ("$", &[2]), ("a", &[-1])]).contains("0 to 3"));
    }

    proptest! {
        #[test]
        fn ids_are_framed_and_code_points_start_in_order(text in "[abɪ^$_ ]{0,20}|\\PC{0,20}") {
            let alphabet = alphabet(&["a", "b", "ɪ", "aɪ", "..."], &["aɪ"]);
            let symbols: Vec<char> = text.chars().collect();
            let Encoded { ids, starts } = alphabet.encode(&symbols, &mut BTreeSet::new());
            prop_assert!(ids.starts_with(&[1, 0]) && ids.ends_with(&[0, 2]));
            prop_assert_eq!(ids.iter().filter(|id| [1, 2].contains(*id)).count(), 2);
            prop_assert_eq!(starts.len(), symbols.len() + 1);
            prop_assert!(starts.is_sorted());
            prop_assert_eq!((starts[0], starts[symbols.len()]), (2, ids.len() - 1));
        }
    }
}
