//! Where a password comes from.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Stop;

/// Letters and digits that are not taken for one another: 55 of them.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Twenty letters of 5.8 bits each.
const LENGTH: usize = 20;
/// More than any password needs (bytes).
const BYTES_MAX: u64 = 4096;

/// Makes up a password, in groups of five.
pub(super) fn generate() -> Result<String, Stop> {
    let mut password = String::new();
    let mut letters = 0;
    while letters < LENGTH {
        let mut byte = [0];
        aws_lc_rs::rand::fill(&mut byte)
            .map_err(|_| Stop::refused("the operating system gives no randomness"))?;
        // Taking the remainder of a byte beyond the last whole multiple would favour some letters.
        let whole = 256 / LETTERS.len() * LETTERS.len();
        if usize::from(byte[0]) >= whole {
            continue;
        }
        if letters > 0 && letters % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        letters += 1;
    }
    Ok(password)
}

/// The first line of standard input.
pub(super) fn from_stdin() -> Result<String, Stop> {
    let mut line = String::new();
    BufReader::new(io::stdin().lock().take(BYTES_MAX))
        .read_line(&mut line)
        .map_err(|error| Stop::usage(format!("standard input: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Stop::usage("standard input has no password in its first line"));
    }
    Ok(password.to_owned())
}

/// Asks twice, without showing what is typed.
pub(super) fn prompt() -> Result<String, Stop> {
    if !io::stdin().is_terminal() {
        return Err(Stop::usage(
            "a password is needed: add --generate to have one made up, or --password-stdin to \
             read it from standard input",
        ));
    }
    let first = hidden("Password: ")?;
    if first.is_empty() {
        return Err(Stop::usage("an empty password is none; --generate makes one up"));
    }
    if hidden("Again: ")? == first {
        Ok(first)
    } else {
        Err(Stop::usage("the two passwords are different; nothing was changed"))
    }
}

fn hidden(prompt: &str) -> Result<String, Stop> {
    eprint!("{prompt}");
    let _ = io::stderr().flush();
    let echo = Echo::off().map_err(|error| Stop::usage(format!("terminal: {error}")))?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    drop(echo);
    eprintln!();
    read.map_err(|error| Stop::usage(format!("terminal: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The terminal with its echo off, until dropped.
struct Echo(Termios);

impl Echo {
    fn off() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
