//! Samples of every format, on their way into the ring.

use super::*;
use std::sync::mpsc::TryRecvError;

/// What plays the device in a test.
pub(in super::super) struct Fake {
    pub(in super::super) input: Pour,
    pub(in super::super) failed: mpsc::Sender<cpal::Error>,
    pub(in super::super) let_go: Receiver<Infallible>,
}

/// A callback.
pub(in super::super) struct Pour(Input);

impl Pour {
    pub(in super::super) fn pour<T: SizedSample>(&mut self, samples: &[T])
    where
        f32: FromSample<T>,
    {
        self.0.pour(samples, widen::<T>);
    }
}

/// A device that is fed by a test.
pub(in super::super) fn fake(rate: u32, channels: u16) -> (Capture, Fake) {
    let (id, name) = ("fake".to_owned(), "Fake".to_owned());
    let device = Device { id, name, is_default: true, is_monitor: false, rate, channels };
    let (capture, input, failed, let_go) = connect(device);
    (capture, Fake { input: Pour(input), failed, let_go })
}

/// What is heard of samples.
fn heard<T: SizedSample>(channels: u16, samples: &[T]) -> Vec<f32>
where
    f32: FromSample<T>,
{
    let (mut capture, mut fake) = fake(16_000, channels);
    fake.input.pour(samples);
    capture.take()
}

#[test]
fn every_format_means_the_same() {
    let expected = [0.0, 0.5, -1.0];
    assert_eq!(heard(1, &[0_i8, 64, -128]), expected);
    assert_eq!(heard(1, &[0_i16, 1 << 14, i16::MIN]), expected);
    assert_eq!(heard(1, &[0_i32, 1 << 30, i32::MIN]), expected);
    assert_eq!(heard(1, &[0_i64, 1 << 62, i64::MIN]), expected);
    assert_eq!(heard(1, &[128_u8, 192, 0]), expected);
    assert_eq!(heard(1, &[1_u16 << 15, 3 << 14, 0]), expected);
    assert_eq!(heard(1, &[1_u32 << 31, 3 << 30, 0]), expected);
    assert_eq!(heard(1, &[1_u64 << 63, 3 << 62, 0]), expected);
    assert_eq!(heard(1, &[0.0_f32, 0.5, -1.0]), expected);
    assert_eq!(heard(1, &[0.0_f64, 0.5, -1.0]), expected);
}

#[test]
fn of_32_bits_24_count_where_they_are_24() {
    let signed = [(0, 0.0), (1 << 22, 0.5), (-1 << 23, -1.0), (0x00c0_0000, -0.5), (0x7fc0_0000, -0.5)];
    for (sample, expected) in signed {
        assert_eq!(widen_i24(cpal::I24::new_unchecked(sample)), expected, "{sample:x}");
    }
    let unsigned = [(1 << 23, 0.0), (3 << 22, 0.5), (0, -1.0), (0x7f40_0000, -0.5)];
    for (sample, expected) in unsigned {
        assert_eq!(widen_u24(cpal::U24::new_unchecked(sample)), expected, "{sample:x}");
    }
}

#[test]
fn what_is_no_sound_does_no_harm() {
    assert_eq!(heard(1, &[f32::NAN, 7.0, f32::NEG_INFINITY]), [0.0, 1.0, -1.0]);
}

#[test]
fn channels_become_their_mean() {
    assert_eq!(heard(2, &[0.5_f32, 0.0, 1.0, -1.0]), [0.25, 0.0]);
    assert_eq!(heard(3, &[0.75_f32, 0.0, 0.0, 0.5]), [0.25], "half a frame is none");
    assert!(heard::<i16>(2, &[]).is_empty());
}

#[test]
fn what_the_ring_cannot_hold_is_counted() {
    let (mut capture, mut fake) = fake(1_000, 1);
    for _ in 0..10 {
        fake.input.pour(&[1_i16; 999]);
    }
    assert_eq!(capture.lost(), 0);
    fake.input.pour(&[2_i16; 25]);
    assert_eq!(capture.lost(), 15);
    assert_eq!(capture.take().len(), 10_000);
    fake.input.pour(&[3_i16; 25]);
    assert_eq!((capture.take().len(), capture.lost()), (25, 15));
}

#[test]
fn a_device_is_gone_with_its_callback_and_stops_with_its_listener() {
    let (mut capture, fake) = fake(16_000, 1);
    assert!(!capture.is_gone());
    assert_eq!(fake.let_go.try_recv(), Err(TryRecvError::Empty));
    capture.let_go();
    assert_eq!(fake.let_go.try_recv(), Err(TryRecvError::Disconnected));
    drop(fake.input);
    assert!(capture.is_gone());
}

#[test]
fn pieces_are_as_long_as_the_device_can() {
    let config = |size| SupportedStreamConfig::new(2, 48_000, size, SampleFormat::F32);
    let piece_of = |min, max| piece(&config(SupportedBufferSize::Range { min, max }));
    assert_eq!(piece_of(1, 1 << 20), BufferSize::Fixed(9_600));
    assert_eq!(piece_of(14, 1_024), BufferSize::Fixed(1_024));
    assert_eq!(piece_of(16_384, 32_768), BufferSize::Fixed(16_384));
    assert_eq!(piece(&config(SupportedBufferSize::Unknown)), BufferSize::Default);
}

#[test]
fn a_hiccup_is_no_end() {
    let fatal = |kind| is_fatal(&cpal::Error::new(kind));
    assert!(!fatal(cpal::ErrorKind::Xrun) && !fatal(cpal::ErrorKind::DeviceChanged));
    assert!(fatal(cpal::ErrorKind::DeviceNotAvailable) && fatal(cpal::ErrorKind::StreamInvalidated));
}
