//! What a caller hears of the end of speech.

use super::*;

/// Speaks so many pieces; wants to stop after the first one, or fails in the end.
struct Talker {
    pieces: usize,
    stops: bool,
    fails: bool,
}

impl Synthesizer for Talker {
    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn speak(&mut self, _utterance: &Utterance, cancel: &Cancel, sink: &mut engine::Sink<'_>) -> Result<()> {
        for _ in 0..self.pieces {
            // As engines do: told to stop, they end well.
            if sink(Spoken::Audio(&[1; 10])).is_break() {
                return Ok(());
            }
            if self.stops {
                cancel.request();
            }
        }
        if self.fails { Err(Error::new(Kind::Internal, "the voice failed")) } else { Ok(()) }
    }

    fn voices(&mut self) -> Result<Voices> {
        Ok(Voices::default())
    }
}

/// What a caller hears who listens only when there is no more room for anything.
fn heard(mut talker: Talker) -> Vec<&'static str> {
    let (speech, mut listener) = mpsc::channel(1);
    let is_late = talker.stops;
    thread::scope(|scope| {
        let talk = scope.spawn(move || super::speak(&mut talker, &Utterance::default(), &Cancel::default(), &speech));
        while listener.is_empty() || is_late && !talk.is_finished() {
            thread::yield_now();
        }
        let next = || {
            Some(match listener.blocking_recv()? {
                Ok(Speech { piece: Piece::End, .. }) => "end",
                Ok(_) => "audio",
                Err(_) => "error",
            })
        };
        std::iter::from_fn(next).collect()
    })
}

#[test]
fn the_end_is_told_and_so_is_a_failure_however_slow_the_caller() {
    assert_eq!(heard(Talker { pieces: 3, stops: false, fails: false }), ["audio", "audio", "audio", "end"]);
    assert_eq!(heard(Talker { pieces: 1, stops: false, fails: true }), ["audio", "error"]);
}

#[test]
fn speech_that_breaks_off_has_no_end() {
    assert_eq!(heard(Talker { pieces: 3, stops: true, fails: false }), ["audio"]);
}
