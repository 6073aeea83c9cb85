//! Samples on their way into the ring.

use super::*;

/// What plays the device in a test.
pub(in super::super) struct Fake {
    pub(in super::super) input: Pour,
    pub(in super::super) failed: mpsc::Sender<Fault>,
    /// Ends when the device is let go.
    pub(in super::super) server: UnixStream,
}

/// What hears.
pub(in super::super) struct Pour(Input);

impl Pour {
    pub(in super::super) fn pour(&mut self, samples: &[f32]) {
        self.0.pour(&samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>());
    }
}

impl Fake {
    /// Waits until the device is let go.
    pub(in super::super) fn wait(&mut self) {
        assert_eq!(self.server.read(&mut [0]).unwrap(), 0);
    }
}

/// A device that is fed by a test.
pub(in super::super) fn fake(rate: u32, channels: u8) -> (Capture, Fake) {
    let (role, id, name) = (Role::Microphone, "fake".to_owned(), "Fake".to_owned());
    let device = Device { role, id, name, is_default: true, is_monitor: false, rate, channels };
    let (ours, server) = UnixStream::pair().unwrap();
    let (capture, input, failed) = connect(device, Leash::of(&ours).unwrap());
    (capture, Fake { input: Pour(input), failed, server })
}

/// What is heard of samples.
fn heard(channels: u8, samples: &[f32]) -> Vec<f32> {
    let (mut capture, mut fake) = fake(16_000, channels);
    fake.input.pour(samples);
    capture.take()
}

#[test]
fn what_is_no_sound_does_no_harm() {
    assert_eq!(heard(1, &[f32::NAN, 7.0, f32::NEG_INFINITY]), [0.0, 1.0, -1.0]);
}

#[test]
fn channels_become_their_mean() {
    assert_eq!(heard(2, &[0.5, 0.0, 1.0, -1.0]), [0.25, 0.0]);
    assert_eq!(heard(3, &[0.75, 0.0, 0.0, 0.5]), [0.25], "half a frame is none");
    assert!(heard(2, &[]).is_empty());
}

#[test]
fn what_the_ring_cannot_hold_is_counted() {
    let (mut capture, mut fake) = fake(1_000, 1);
    for _ in 0..10 {
        fake.input.pour(&[0.1; 999]);
    }
    assert_eq!(capture.lost(), 0);
    fake.input.pour(&[0.2; 25]);
    assert_eq!(capture.lost(), 15);
    assert_eq!(capture.take().len(), 10_000);
    fake.input.pour(&[0.3; 25]);
    assert_eq!((capture.take().len(), capture.lost()), (25, 15));
}

#[test]
fn a_device_is_gone_with_its_thread_and_stops_with_its_listener() {
    let (mut capture, mut fake) = fake(16_000, 1);
    assert!(!capture.is_gone());
    fake.server.set_nonblocking(true).unwrap();
    assert_eq!(fake.server.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    capture.let_go();
    fake.wait();
    drop(fake.input);
    assert!(capture.is_gone());
}
