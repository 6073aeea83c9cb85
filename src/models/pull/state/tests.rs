//! The rules against a small model of a server, a disk and others with the lock, all of which misbehave.

mod stories;
mod world;

use super::*;
use proptest::prelude::*;
use stories::{Answer, Other, Story, Word, plain, stories};
use world::{End, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// The laws are in the world; here is what each end means.
    #[test]
    fn whatever_happens_it_ends_by_the_rules(story in stories()) {
        let mut world = World::new(story.clone());
        match world.run() {
            End::Done if world.blob => {}
            End::Done => {
                prop_assert!(!story.has_digest || world.disk == world.story.file);
                prop_assert!(!story.tells_size || world.announced_size == Some(world.disk.len() as u64));
            }
            End::Failed(Failure::Bug) => prop_assert!(false, "a bug"),
            End::Failed(Failure::NoRoom { has, wants }) => prop_assert!(has < wants),
            End::Failed(Failure::TooLong(_, after)) => prop_assert!(after > LONGEST_WAIT),
            End::Failed(_) if !world.can_resume() && world.was_locked => {
                prop_assert!(world.disk.is_empty() || world.cannot_discard);
            }
            End::Failed(Failure::WrongDigest) => prop_assert!(story.has_digest && world.disk.is_empty()),
            End::Failed(_) => {}
        }
    }

    /// Nothing that passes hinders it, as long as there is less of it than six failures in a row.
    #[test]
    fn what_passes_does_not_hinder_it(
        before in 0..31_usize,
        answers in prop::collection::vec(prop_oneof![
            (0..20_u64, any::<bool>()).prop_map(|(after, is_error)| Answer::Broken { after, is_error }),
            (0..20_u64).prop_map(|after| Answer::Whole { after }),
            (0..60_u64).prop_map(Answer::Busy),
        ], 0..6),
        words in prop::collection::vec((0..61_u64).prop_map(Word::Busy), 0..6),
        tells_size: bool,
        other in prop::option::of((0..9_u32, any::<bool>(), 0..30_usize)),
    ) {
        let other = other.map(|(looks, is_done, leaves)| Other { looks, is_done, leaves });
        let mut world = World::new(Story { words, tells_size, other, ..plain(before, answers) });
        let end = world.run();
        prop_assert!(matches!(end, End::Done) && world.asked_to_wait.is_none(), "{end:?}");
    }
}

/// A file that cannot be gone on with turns out to be another: it is deleted and asked for anew, whatever breaks meanwhile.
#[test]
fn the_lock_is_let_go_of_wherever_one_gives_up_on_a_file_that_has_changed() {
    for gives_up in 1..60 {
        let answers = vec![Answer::Broken { after: 1, is_error: false }, Answer::OtherTotal(0)];
        let story =
            Story { tells_size: false, has_digest: false, has_etag: false, piece: 1, gives_up, ..plain(0, answers) };
        let (end, world) = end_of(story);
        assert!(world.disk.is_empty() || matches!(end, End::Done) || world.cannot_discard, "{gives_up}: {end:?}");
    }
}

fn end_of(story: Story) -> (End, World) {
    let mut world = World::new(story);
    let end = world.run();
    (end, world)
}

#[test]
fn what_is_there_is_not_asked_for() {
    let (end, world) = end_of(plain(30, Vec::new()));
    assert!(matches!(end, End::Done) && world.gets == 0);
    let other = Some(Other { looks: 3, is_done: true, leaves: 10 });
    let (end, world) = end_of(Story { other, ..plain(0, Vec::new()) });
    assert!(matches!(end, End::Done) && world.gets == 0);
}

#[test]
fn who_dies_with_the_lock_leaves_what_has_come() {
    let other = Some(Other { looks: 3, is_done: false, leaves: 10 });
    let mut world = World::new(Story { other, ..plain(0, vec![Answer::Good]) });
    assert!(matches!(world.run(), End::Done));
    assert_eq!(world.gets, 1);
}

#[test]
fn the_sixth_failure_in_a_row_is_the_last() {
    for (answer, count) in [(Answer::Busy(0), 6), (Answer::Broken { after: 0, is_error: true }, 6)] {
        let (end, world) = end_of(Story { at_last: answer, ..plain(7, Vec::new()) });
        assert!(matches!(end, End::Failed(Failure::Origin(_))), "{end:?}");
        assert_eq!((world.gets, world.disk.len()), (count, 7), "what is there stays");
    }
    let words = vec![Word::Busy(1); 6];
    let (end, _) = end_of(Story { words, ..plain(7, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::Origin(_))));
    // Without ranges each answer begins anew: that is no progress, and ends.
    let (end, world) = end_of(Story { at_last: Answer::Whole { after: 9 }, ..plain(0, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::Origin(_))));
    assert_eq!(world.gets, 6);
}

#[test]
fn each_new_byte_forgives_what_failed_before() {
    let (end, world) = end_of(Story { at_last: Answer::Broken { after: 1, is_error: false }, ..plain(0, Vec::new()) });
    assert!(matches!(end, End::Done));
    assert_eq!(world.gets, 30);
    // What was thrown away at the beginning is no measure of progress.
    let answers = (1..20).map(|after| Answer::Broken { after, is_error: true }).collect();
    let (end, world) = end_of(Story { has_digest: false, has_etag: false, ..plain(29, answers) });
    assert!(matches!(end, End::Done) && world.gets == 20);
}

#[test]
fn pauses_double_up_to_ten_seconds() {
    let pauses: Vec<u128> = (0..7).map(|failures| pause(failures).as_millis()).collect();
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
}

#[test]
fn a_long_wait_is_for_the_caller_to_decide() {
    let (end, _) = end_of(plain(0, vec![Answer::Busy(60)]));
    assert!(matches!(end, End::Done));
    let (end, world) = end_of(plain(7, vec![Answer::Busy(61)]));
    assert!(matches!(end, End::Failed(Failure::TooLong(_, after)) if after.as_secs() == 61));
    assert_eq!((world.gets, world.disk.len()), (1, 7));
}

#[test]
fn what_is_wrong_is_fetched_once_more_only_if_it_was_pieced_together() {
    let (end, world) = end_of(Story { before: vec![0; 9], ..plain(0, Vec::new()) });
    assert!(matches!(end, End::Done) && world.gets == 2);
    let (end, world) = end_of(Story { before: vec![0; 30], ..plain(0, Vec::new()) });
    assert!(matches!(end, End::Done) && world.gets == 1);
    // Also if it was this pull that put it together; and once only.
    let broken = || Answer::Broken { after: 3, is_error: true };
    let (end, world) = end_of(plain(0, vec![broken(), Answer::Others]));
    assert!(matches!(end, End::Done) && world.gets == 3);
    let (end, world) = end_of(plain(0, vec![broken(), Answer::Others, broken(), Answer::Others]));
    assert!(matches!(end, End::Failed(Failure::WrongDigest)) && world.gets == 4);
    let (end, world) = end_of(plain(0, vec![Answer::Others]));
    assert!(matches!(end, End::Failed(Failure::WrongDigest)) && world.gets == 1 && world.disk.is_empty());
    let (end, world) = end_of(Story { at_last: Answer::Others, ..plain(9, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::WrongDigest)) && world.gets == 2 && world.disk.is_empty());
}

#[test]
fn a_wrong_range_is_tried_once_without_one() {
    let (end, world) = end_of(plain(9, vec![Answer::WrongRange { start: 5 }]));
    assert!(matches!(end, End::Done) && world.gets == 2);
    let (end, _) = end_of(Story { at_last: Answer::WrongRange { start: 5 }, ..plain(9, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::Odd)));
    let cut = Answer::Broken { after: 3, is_error: true };
    let (end, _) = end_of(plain(9, vec![Answer::WrongRange { start: 5 }, cut, Answer::WrongRange { start: 7 }]));
    assert!(matches!(end, End::Failed(Failure::Odd)));
    let (end, world) = end_of(plain(9, vec![Answer::OutOfRange]));
    assert!(matches!(end, End::Done) && world.gets == 2);
    let (end, _) = end_of(plain(0, vec![Answer::OutOfRange]));
    assert!(matches!(end, End::Failed(Failure::Odd)));
}

#[test]
fn a_file_of_another_length_is_asked_for_anew_and_nothing_is_thrown_away() {
    let (end, world) = end_of(plain(9, vec![Answer::OtherTotal(7)]));
    assert!(matches!(end, End::Done) && world.gets == 2);
    let (end, world) = end_of(Story { at_last: Answer::OtherTotal(7), ..plain(9, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::WrongSize { found: 7 })));
    assert_eq!((world.gets, world.disk.len()), (2, 9));
    let words = vec![Word::Good, Word::Changed(vec![5; 12])];
    let (end, world) = end_of(Story { words, ..plain(9, vec![Answer::OtherTotal(12)]) });
    assert!(matches!(end, End::Done) && world.disk == [5; 12]);
}

#[test]
fn more_than_was_announced_is_refused() {
    for before in [0, 9] {
        let (end, world) = end_of(plain(before, vec![Answer::Longer]));
        assert!(matches!(end, End::Failed(Failure::WrongSize { found: 31.. })), "{end:?}");
        assert!(world.disk.is_empty() && world.gets == 1);
    }
}

#[test]
fn room_is_looked_for_before_the_first_byte_also_where_the_answer_tells_the_length() {
    for (tells_size, gets) in [(true, 0), (false, 1)] {
        let (end, world) = end_of(Story { room: 25, tells_size, ..plain(9, Vec::new()) });
        assert!(matches!(end, End::Failed(Failure::NoRoom { wants: 21, has: 16 })), "{end:?}");
        assert_eq!((world.gets, world.disk.len()), (gets, 9));
    }
    let (end, world) = end_of(Story { room: 25, tells_room: false, ..plain(9, Vec::new()) });
    assert!(matches!(end, End::Failed(Failure::Local(_))) && world.disk.len() == 25);
    let (end, _) = end_of(Story { room: 30, ..plain(9, Vec::new()) });
    assert!(matches!(end, End::Done));
}

#[test]
fn what_nobody_can_recognise_is_fetched_from_its_beginning() {
    let story = Story { has_digest: false, has_etag: false, ..plain(9, Vec::new()) };
    let broken = Answer::Broken { after: 12, is_error: true };
    let (end, world) = end_of(Story { answers: vec![broken], ..story });
    assert!(matches!(end, End::Done) && world.gets == 2);
    let story = Story { has_digest: false, has_etag: true, ..plain(9, Vec::new()) };
    assert!(matches!(end_of(story), (End::Done, World { gets: 1, .. })));
}

#[test]
fn what_nobody_can_go_on_with_does_not_stay() {
    for (has_etag, left) in [(false, 0), (true, 12)] {
        for at_last in [Answer::Never, Answer::Busy(0), Answer::Busy(61)] {
            let answers = vec![Answer::Broken { after: 12, is_error: true }];
            let story = Story { has_digest: false, has_etag, at_last, ..plain(0, answers) };
            let (end, world) = end_of(story);
            assert!(matches!(end, End::Failed(Failure::Origin(_) | Failure::TooLong(..))), "{end:?}");
            assert_eq!(world.disk.len(), left);
        }
    }
}

#[test]
fn who_gives_up_keeps_what_has_come() {
    for gives_up in 1..24 {
        let (end, world) = end_of(Story { gives_up, ..plain(9, Vec::new()) });
        let has_come = world.disk.len();
        match end {
            End::Failed(Failure::Local(error)) => assert!(error.kind() == Kind::Cancelled && has_come >= 9),
            end => assert!(matches!(end, End::Done) && has_come == 30, "{end:?}"),
        }
    }
}
