//! Drives the real `speechctl`: real processes, real sockets, real deaths.

#![allow(clippy::print_stdout, clippy::string_slice, reason = "tests may talk, and slice what they have made")]

mod harness;

mod architecture;
mod audio;
mod bad_input;
mod catalogue;
mod chaos;
mod containers;
mod crash;
mod dialin;
mod doctor;
mod ensure;
mod faults;
mod foreign;
mod hardened;
mod help;
mod hub_python;
mod live;
mod long_texts;
mod loudspeaker;
mod many_texts;
mod microphone;
mod models;
mod network;
mod pages;
mod piper;
mod promise;
mod ps;
mod pull;
mod residency;
mod sentences;
mod serve;
mod session;
mod shelf;
mod speaking;
mod speech;
mod spoken;
mod streaming;
mod transcripts;
mod wire;
mod worker;
