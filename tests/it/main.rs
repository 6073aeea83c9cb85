//! Drives the real `speechctl`: real processes, real sockets, real deaths.

mod harness;

mod architecture;
mod audio;
mod bad_input;
mod crash;
mod help;
mod serve;
mod speech;
mod wire;
