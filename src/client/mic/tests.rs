//! A microphone whose sound the test makes.

use super::*;
use capture::tests::{Fake, fake};
use sound::Fault;
use std::thread;
use tokio::time::timeout;

/// What comes until the end, and how it ends.
async fn rest(microphone: &mut Microphone) -> (Vec<Vec<i16>>, Option<Error>) {
    let mut chunks = Vec::new();
    loop {
        match microphone.next().await {
            Ok(Some(chunk)) => chunks.push(chunk),
            Ok(None) => return (chunks, None),
            Err(error) => {
                assert!(microphone.next().await.unwrap().is_none(), "an error is told once");
                return (chunks, Some(error));
            }
        }
    }
}

fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&sample| crate::audio::to_f32(sample)).collect()
}

fn lengths(chunks: &[Vec<i16>]) -> Vec<usize> {
    chunks.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn what_was_heard_comes_in_chunks_of_100_ms() {
    let (capture, mut device) = fake(16_000, 1);
    let mut microphone = Microphone::try_new(capture).unwrap();
    let samples: Vec<i16> = (0..4_000).collect();
    device.input.pour(&floats(&samples));
    assert_eq!(microphone.next().await.unwrap().unwrap(), samples[..1_600]);
    microphone.stop();
    let device = thread::spawn(move || {
        device.wait();
        device.input.pour(&floats(&[7]));
    });
    let (chunks, error) = rest(&mut microphone).await;
    device.join().unwrap();
    assert!(error.is_none());
    assert_eq!(lengths(&chunks), [1_600, 801]);
    assert_eq!(chunks[1].last(), Some(&7));
    assert_eq!(microphone.dropped(), Duration::ZERO);
}

#[tokio::test]
async fn all_of_it_is_there_at_another_rate() {
    let (capture, Fake { mut input, .. }) = fake(44_100, 2);
    let mut microphone = Microphone::try_new(capture).unwrap();
    input.pour(&[0.25; 2 * 44_100]);
    drop(input);
    microphone.stop();
    let (chunks, error) = rest(&mut microphone).await;
    assert!(error.is_none());
    assert_eq!(lengths(&chunks), [1_600; 10]);
    assert!((i32::from(chunks[5][800]) - 8_192).abs() < 3);
}

#[tokio::test]
async fn a_failure_is_told_after_what_was_heard() {
    let (capture, Fake { mut input, failed, .. }) = fake(16_000, 1);
    let mut microphone = Microphone::try_new(capture).unwrap();
    input.pour(&[0.5; 2_000]);
    failed.try_send(Fault::Unplugged).unwrap();
    let (chunks, error) = rest(&mut microphone).await;
    assert_eq!(lengths(&chunks), [1_600, 400]);
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().starts_with("the microphone `Fake` is gone; was it unplugged?: "), "{error}");
}

#[tokio::test]
async fn a_microphone_that_gives_nothing_is_an_error_and_not_a_silence() {
    let (capture, Fake { input, failed, .. }) = fake(16_000, 1);
    let mut microphone = Microphone::try_new(capture).unwrap();
    microphone.quiet = PATIENCE - 3 * LOOK;
    // Calls that are given up count, too.
    let mut told = None;
    while told.is_none() {
        told = timeout(LOOK * 3 / 2, microphone.next()).await.ok();
    }
    let error = told.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("the microphone `Fake` gives no sound, not even silence"), "{error}");
    assert!(microphone.next().await.unwrap().is_none());
    drop((input, failed));
}

#[tokio::test]
async fn a_thread_that_dies_is_an_end() {
    let (capture, Fake { input, .. }) = fake(16_000, 1);
    let mut microphone = Microphone::try_new(capture).unwrap();
    drop(input);
    assert_eq!(microphone.next().await.unwrap_err().to_string(), "the microphone `Fake` has ended");
}

#[tokio::test]
async fn a_device_that_does_not_stop_is_not_waited_for() {
    let (capture, Fake { input, .. }) = fake(16_000, 1);
    let mut microphone = Microphone::try_new(capture).unwrap();
    microphone.stop();
    let start = Instant::now();
    assert!(microphone.next().await.unwrap().is_none());
    assert!((STOPPING..STOPPING * 3).contains(&start.elapsed()));
    drop(input);
}

#[tokio::test]
async fn a_rate_that_no_device_has_is_refused() {
    let (capture, _device) = fake(10, 1);
    assert_eq!(Microphone::try_new(capture).err().unwrap().kind(), Kind::Io);
}
