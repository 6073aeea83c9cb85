//! Every order in which lines, commands and the end can come.

use super::*;
use proptest::{collection::vec, prelude::*};

fn say(number: u64) -> Effect {
    Effect::Say { number, text: format!("line {number}") }
}

fn text(number: u64) -> Event {
    Event::Text { number, text: format!("line {number}") }
}

fn command(number: u64, command: Command) -> Event {
    Event::Command { number, command }
}

fn act(number: u64, act: Act) -> Effect {
    Effect::Act { number: Some(number), act }
}

/// What comes of each event.
fn told(is_typed: bool, events: impl IntoIterator<Item = Event>) -> Vec<Vec<Effect>> {
    let mut order = Order::new(is_typed);
    events.into_iter().map(|event| order.on(event)).collect()
}

#[test]
fn lines_are_said_one_after_the_other() {
    let effects = told(false, [text(1), text(2), Event::Done, text(4), Event::Over, Event::Done, Event::Done]);
    let end = vec![Effect::End(Ending::Said)];
    assert_eq!(effects, [vec![say(1)], vec![], vec![say(2)], vec![], vec![], vec![say(4)], end]);
}

#[test]
fn an_end_without_a_line_is_the_end() {
    assert_eq!(told(false, [Event::Over, text(1)]), [vec![Effect::End(Ending::Said)], vec![]]);
}

#[test]
fn a_stop_drops_what_waits_but_no_voice() {
    let voice = Effect::Change { number: 3, voice: "de".to_owned() };
    let events = [
        text(1),
        text(2),
        command(3, Command::Voice("de".to_owned())),
        text(4),
        command(5, Command::Stop),
        text(6),
        Event::Done,
    ];
    let stopped = vec![act(5, Act::Stop { dropped: 2 }), voice];
    assert_eq!(told(false, events), [vec![say(1)], vec![], vec![], vec![], stopped, vec![], vec![say(6)]]);
}

#[test]
fn a_voice_is_for_the_lines_behind_it() {
    let voice = |number, name: &str| Effect::Change { number, voice: name.to_owned() };
    let events = [
        text(1),
        command(2, Command::Voice("de".to_owned())),
        text(3),
        Event::Done,
        // A stop does not end the change: it is not speech.
        command(4, Command::Stop),
        Event::Done,
        Event::Over,
    ];
    let effects = [
        vec![say(1)],
        vec![],
        vec![],
        vec![voice(2, "de")],
        vec![act(4, Act::Stop { dropped: 1 })],
        vec![],
        vec![Effect::End(Ending::Said)],
    ];
    assert_eq!(told(false, events), effects);
}

#[test]
fn a_pause_holds_what_is_said_and_what_waits() {
    let events = [
        text(1),
        command(2, Command::Pause),
        text(3),
        // It was said already, but for its end.
        Event::Done,
        command(4, Command::Pause),
        command(5, Command::Resume),
        Event::Done,
    ];
    let resumed = vec![act(5, Act::Resume), say(3)];
    let effects = [vec![say(1)], vec![act(2, Act::Pause)], vec![], vec![], vec![act(4, Act::Pause)], resumed, vec![]];
    assert_eq!(told(false, events), effects);
}

#[test]
fn a_stop_ends_the_pause_and_the_end_of_input_too() {
    let events = [command(1, Command::Pause), text(2), command(3, Command::Stop), text(4)];
    let effects = [vec![act(1, Act::Pause)], vec![], vec![act(3, Act::Stop { dropped: 1 })], vec![say(4)]];
    assert_eq!(told(false, events), effects);
    let resume = Effect::Act { number: None, act: Act::Resume };
    let effects = [vec![act(1, Act::Pause)], vec![], vec![resume, say(2)], vec![Effect::End(Ending::Said)]];
    assert_eq!(told(false, [command(1, Command::Pause), text(2), Event::Over, Event::Done]), effects);
}

#[test]
fn a_pause_with_all_places_taken_can_be_ended() {
    let full = || {
        let mut order = Order::new(false);
        order.on(command(1, Command::Pause));
        for number in 0..super::MOST {
            assert!(order.has_room() && order.on(text(number as u64)).is_empty());
        }
        assert!(order.has_room(), "whoever pauses must be heard");
        assert_eq!(order.on(text(7)), [Effect::Full { number: 7 }]);
        assert_eq!(order.on(command(8, Command::Voice("de".to_owned()))), [Effect::Full { number: 8 }]);
        order
    };
    let mut order = full();
    assert_eq!(order.on(command(9, Command::Resume)), [act(9, Act::Resume), say(0)]);
    assert!(order.has_room(), "there is one place");
    order.on(text(10));
    assert!(!order.has_room());
    let resume = Effect::Act { number: None, act: Act::Resume };
    assert_eq!(full().on(Event::Over), [resume, say(0)]);
}

#[test]
fn a_wait_holds_the_input_back_until_all_is_said() {
    let mut order = Order::new(false);
    assert_eq!(order.on(command(1, Command::Wait)), [Effect::Waited { number: 1 }]);
    order.on(text(2));
    order.on(text(3));
    assert!(order.on(command(4, Command::Wait)).is_empty() && !order.has_room());
    assert_eq!(order.on(Event::Done), [say(3)]);
    assert!(!order.has_room());
    assert_eq!(order.on(Event::Done), [Effect::Waited { number: 4 }]);
    assert!(order.has_room());
}

#[test]
fn nobody_waits_for_a_pause_to_end() {
    let mut order = Order::new(false);
    order.on(command(1, Command::Pause));
    assert_eq!(order.on(command(2, Command::Wait)), [Effect::Waited { number: 2 }], "there is nothing to wait for");
    order.on(text(3));
    assert_eq!(order.on(command(4, Command::Wait)), [Effect::Refuse { number: 4 }]);
    assert!(order.has_room());
}

#[test]
fn quit_is_at_once() {
    for before in [vec![], vec![text(1), text(2)], vec![text(1), command(2, Command::Pause)]] {
        let mut order = Order::new(true);
        before.into_iter().for_each(|event| drop(order.on(event)));
        assert_eq!(order.on(command(9, Command::Quit)), [Effect::End(Ending::Quit)]);
        assert!(!order.has_room());
        assert!(order.on(Event::Done).is_empty() && order.on(text(10)).is_empty());
    }
}

#[test]
fn ctrl_c_stops_who_speaks_and_ends_who_is_silent() {
    let stopped = |dropped| vec![Effect::Act { number: None, act: Act::Stop { dropped } }];
    let end = vec![Effect::End(Ending::Interrupted)];
    let twice = [text(1), text(2), Event::Interrupt, Event::Interrupt];
    assert_eq!(told(true, twice.clone()), [vec![say(1)], vec![], stopped(1), end.clone()]);
    assert_eq!(told(false, twice), [vec![say(1)], vec![], end.clone(), vec![]], "in a script it is the end");
    let paused = [command(1, Command::Pause), text(2), Event::Interrupt];
    assert_eq!(told(true, paused), [vec![act(1, Act::Pause)], vec![], stopped(1)]);
    assert_eq!(told(true, [text(1), Event::Over, Event::Interrupt]), [vec![say(1)], vec![], end], "nobody types");
}

#[test]
fn so_many_lines_wait_and_no_more_are_read() {
    let mut order = Order::new(false);
    let most = u64::try_from(MOST).expect("it is small");
    for number in 0..=most {
        assert!(order.has_room(), "{number}");
        order.on(text(number));
    }
    assert!(!order.has_room());
    order.on(Event::Done);
    assert!(order.has_room());
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(text(0)),
        4 => Just(Event::Done),
        1 => Just(command(0, Command::Pause)),
        1 => Just(command(0, Command::Resume)),
        1 => Just(command(0, Command::Wait)),
        1 => Just(command(0, Command::Voice("de".to_owned()))),
    ]
}

proptest! {
    #[test]
    fn without_a_stop_every_line_is_said_once_and_in_order(events in vec(any_event(), 0..60)) {
        let mut order = Order::new(false);
        let (mut given, mut said, mut at_work, mut ended) = (Vec::new(), Vec::new(), false, false);
        let mut see = |effects: Vec<Effect>, at_work: &mut bool| {
            for effect in effects {
                match effect {
                    Effect::Say { number, .. } | Effect::Change { number, .. } => {
                        assert!(!std::mem::replace(at_work, true), "two at once");
                        said.push(number);
                    }
                    Effect::End(ending) => {
                        assert_eq!(ending, Ending::Said);
                        ended = true;
                    }
                    Effect::Act { .. } | Effect::Waited { .. } | Effect::Refuse { .. } | Effect::Full { .. } => {}
                }
            }
        };
        for (number, event) in (1..).zip(events) {
            let event = match event {
                Event::Done if at_work => {
                    at_work = false;
                    Event::Done
                }
                Event::Text { .. } if order.has_room() => text(number),
                Event::Command { command: wanted, .. } if order.has_room() => command(number, wanted),
                _ => continue,
            };
            if matches!(event, Event::Text { .. } | Event::Command { command: Command::Voice(_), .. }) {
                given.push(number);
            }
            let was_paused = order.is_paused();
            let effects = order.on(event);
            if was_paused && order.is_paused() {
                let begins = |effect: &Effect| matches!(effect, Effect::Say { .. } | Effect::Change { .. });
                assert!(!effects.iter().any(begins), "it pauses");
            }
            see(effects, &mut at_work);
        }
        // A wait holds the end of the input back, too; all that is left is done.
        let mut is_over = false;
        for _ in 0..200 {
            if order.has_room() && !std::mem::replace(&mut is_over, true) {
                see(order.on(Event::Over), &mut at_work);
            } else if std::mem::take(&mut at_work) {
                see(order.on(Event::Done), &mut at_work);
            }
        }
        prop_assert_eq!(given, said);
        prop_assert!(ended && !at_work);
    }
}
