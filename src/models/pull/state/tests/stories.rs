//! What may happen to a pull.

use proptest::prelude::*;

pub(super) const FAR: u64 = u64::MAX;

/// What a request for bytes gets.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Good,
    /// So many bytes, then an error or an end that comes too early.
    Broken {
        after: u64,
        is_error: bool,
    },
    /// The server knows no ranges; the answer may break, too.
    Whole {
        after: u64,
    },
    WrongRange {
        start: u64,
    },
    OutOfRange,
    /// Other bytes than those of the file.
    Others,
    /// More bytes than there are, and it does not say how many.
    Longer,
    /// The file has another length.
    OtherTotal(u64),
    /// The length is not told.
    NoTotal,
    Busy(u64),
    Never,
}

/// What a question gets.
#[derive(Clone, Debug)]
pub(super) enum Word {
    Good,
    /// The file is another one by now.
    Changed(Vec<u8>),
    Busy(u64),
    Never,
}

/// Somebody else with the lock: how often one has to look, and what he leaves.
#[derive(Clone, Debug)]
pub(super) struct Other {
    pub(super) looks: u32,
    pub(super) is_done: bool,
    pub(super) leaves: usize,
}

/// What is there before, and what happens.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) file: Vec<u8>,
    pub(super) tells_size: bool,
    pub(super) has_digest: bool,
    pub(super) has_etag: bool,
    pub(super) before: Vec<u8>,
    pub(super) words: Vec<Word>,
    pub(super) answers: Vec<Answer>,
    /// What comes when the answers are over, for ever.
    pub(super) at_last: Answer,
    pub(super) piece: usize,
    pub(super) other: Option<Other>,
    /// Bytes that the disk takes; what of that it tells.
    pub(super) room: u64,
    pub(super) tells_room: bool,
    /// The effect at which the caller gives up.
    pub(super) gives_up: usize,
}

pub(super) fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Good),
        4 => (0..12_u64, any::<bool>()).prop_map(|(after, is_error)| Answer::Broken { after, is_error }),
        2 => prop_oneof![Just(FAR), 0..50_u64].prop_map(|after| Answer::Whole { after }),
        1 => (0..50_u64).prop_map(|start| Answer::WrongRange { start }),
        1 => Just(Answer::OutOfRange),
        1 => Just(Answer::Others),
        1 => Just(Answer::Longer),
        1 => (0..60_u64).prop_map(Answer::OtherTotal),
        1 => Just(Answer::NoTotal),
        1 => prop_oneof![0..61_u64, 61..1000_u64].prop_map(Answer::Busy),
        1 => Just(Answer::Never),
    ]
}

pub(super) fn words() -> impl Strategy<Value = Word> {
    let file = prop::collection::vec(2..9_u8, 0..40);
    prop_oneof![
        4 => Just(Word::Good),
        2 => file.prop_map(Word::Changed),
        2 => prop_oneof![0..61_u64, 61..1000_u64].prop_map(Word::Busy),
        1 => Just(Word::Never),
    ]
}

/// What is there before: a part of the file, one with other bytes in it, or more than the file has.
pub(super) fn before(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let part = (0..=file.len()).prop_map(move |count| file.iter().copied().take(count).collect());
    prop_oneof![2 => Just(Vec::new()), 4 => part, 1 => prop::collection::vec(0..9_u8, 0..50)]
}

prop_compose! {
    pub(super) fn stories()(file in prop::collection::vec(2..9_u8, 0..40))(
        before in before(file.clone()),
        file in Just(file),
        (tells_size, has_digest, has_etag, tells_room) in any::<(bool, bool, bool, bool)>(),
        words in prop::collection::vec(words(), 0..5),
        answers in prop::collection::vec(answers(), 0..12),
        at_last in answers(),
        piece in 1..20_usize,
        other in prop::option::weighted(0.3, (0..5_u32, any::<bool>(), 0..40_usize)),
        room in prop_oneof![3 => Just(FAR), 1 => 0..40_u64],
        gives_up in prop_oneof![3 => Just(usize::MAX), 1 => 0..60_usize],
    ) -> Story {
        let other = other.map(|(looks, is_done, leaves)| Other { looks, is_done, leaves });
        Story { file, tells_size, has_digest, has_etag, before, words, answers, at_last, piece, other, room, tells_room, gives_up }
    }
}

/// A file of 30 bytes, nothing there, and everything goes well.
pub(super) fn plain(before: usize, answers: Vec<Answer>) -> Story {
    let file: Vec<u8> = (2..32).collect();
    Story {
        before: file.iter().copied().take(before).collect(),
        file,
        tells_size: true,
        has_digest: true,
        has_etag: true,
        words: Vec::new(),
        answers,
        at_last: Answer::Good,
        piece: 4,
        other: None,
        room: FAR,
        tells_room: true,
        gives_up: usize::MAX,
    }
}
