//! The program on a terminal: what it writes is drawn on a screen as a terminal would, by the few commands it uses.

use super::{
    eventually,
    process::{Running, Sandbox, Shown},
    program,
};
use std::{
    io::{Read, Write},
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// A process on a terminal of its own, made by `script`.
pub(crate) struct Terminal {
    running: Running,
    keyboard: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
    rows: usize,
    columns: usize,
}

impl Terminal {
    /// Starts the program with these arguments, which may hold nothing that a shell reads as more than letters.
    pub(crate) fn start(sandbox: &Sandbox, (columns, rows): (usize, usize), args: &str) -> Self {
        let line = format!("stty cols {columns} rows {rows} && exec {} {args}", program().display());
        let ours = sandbox.command::<&str>(&[]);
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(sandbox.path()).env_clear();
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("script is there");
        let keyboard = child.stdin.take().expect("it is piped");
        let mut stdout = child.stdout.take().expect("it is piped");
        let written = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&written);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                kept.lock().expect("nobody panics").extend_from_slice(&chunk[..length]);
            }
        });
        Self { running: Running::of(child), keyboard, written, rows, columns }
    }

    /// What is on the screen, and above it.
    pub(crate) fn screen(&self) -> String {
        drawn(&String::from_utf8_lossy(&self.written.lock().expect("nobody panics")), self.columns, self.rows)
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut is_right: impl FnMut(&str) -> bool) {
        eventually(what, || is_right(&self.screen()));
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("somebody reads");
    }

    /// Waits for the end; what was on the screen then.
    pub(crate) fn end(self) -> (Shown, String) {
        let Self { running, keyboard, written, rows, columns } = self;
        let shown = running.end();
        drop(keyboard);
        // Its reader has all once it is the only one that holds it.
        eventually("all is read", || Arc::strong_count(&written) == 1);
        let written = String::from_utf8_lossy(&written.lock().expect("nobody panics")).into_owned();
        (shown, drawn(&written, columns, rows))
    }
}

/// Draws what was written, as a terminal would. Commands that are not known are shown.
fn drawn(written: &str, columns: usize, rows: usize) -> String {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column, mut wraps) = (0, 0, true);
    let mut rest = written;
    while let Some(character) = rest.chars().next() {
        if let Some(command) = rest.strip_prefix("\u{1b}[") {
            let end = command.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(command.len() - 1) + 1;
            let (command, after) = command.split_at(end);
            rest = after;
            // The cursor cannot leave the window.
            let top = lines.len().saturating_sub(rows);
            match command {
                "?7l" => wraps = false,
                "?7h" => wraps = true,
                "2K" => lines[row].clear(),
                "J" => {
                    lines[row].truncate(column);
                    lines.truncate(row + 1);
                }
                up if up.ends_with('A') => {
                    let count: usize = up.trim_end_matches('A').parse().expect("a number");
                    row = row.saturating_sub(count).max(top);
                }
                other => lines[row].extend(format!("<{other}>").chars()),
            }
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            other => {
                if column >= columns && wraps {
                    (row, column) = (row + 1, 0);
                }
                let column_now = column.min(columns - 1);
                if lines.len() <= row {
                    lines.push(Vec::new());
                }
                let line = &mut lines[row];
                line.resize(line.len().max(column_now + 1), ' ');
                line[column_now] = other;
                column += 1;
            }
        }
        if lines.len() <= row {
            lines.push(Vec::new());
        }
    }
    let text: Vec<String> = lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
    text.join("\n").trim_end().to_owned()
}

#[test]
fn the_screen_is_a_terminals() {
    assert_eq!(drawn("ab\r\ncd\r\n\u{1b}[2A\u{1b}[2Kx\r\n\u{1b}[J", 80, 24), "x");
    assert_eq!(drawn("abcd", 2, 24), "ab\ncd");
    assert_eq!(drawn("\u{1b}[?7labcd\r\n\u{1b}[1Ax", 2, 24), "xd");
    assert_eq!(drawn("a\r\nb\r\nc\r\n\u{1b}[9Ax", 2, 3), "a\nx\nc");
}
