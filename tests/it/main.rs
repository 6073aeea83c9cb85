//! Drives the real `speechctl`: real processes, real sockets, real deaths.

#![allow(clippy::print_stdout, clippy::string_slice, reason = "tests may talk, and slice what they have made")]

mod harness;

mod architecture;
mod audio;
mod bad_input;
mod chaos;
mod containers;
mod crash;
mod dialin;

mod faults;
mod foreign;
mod hardened;
mod help;
mod live;
mod long_texts;
mod loudspeaker;
mod many_texts;
mod microphone;
mod models;
mod pages;
mod piper;
mod promise;
mod ps;
mod sentences;
mod serve;
mod speaking;
mod speech;
mod streaming;
mod transcripts;
mod wire;
mod worker;
