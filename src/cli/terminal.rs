//! Asking on the terminal: for a password, or for an answer that may be seen.
//!
//! Promise: what is typed is not shown, and however it ends (Ctrl-C included) the terminal is as it was before.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::process;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// How a shell counts what Ctrl-C ended.
const INTERRUPTED: i32 = 130;
/// Longest line that a terminal hands over.
const LINE_BYTES_MAX: usize = 4096;

/// A terminal that shows nothing of what is typed; as it was before when this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
    interrupt: u8,
}

impl Silent {
    fn new() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.local_modes.insert(LocalModes::ICANON | LocalModes::ECHONL);
        // Ctrl-C ends the line instead of the process, which would leave the terminal mute.
        silent.special_codes[SpecialCodeIndex::VEOL] = interrupt;
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before, interrupt })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _best_effort = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks for a line that is shown while it is typed. `None`: the input ended.
pub fn ask_aloud(text: &str) -> io::Result<Option<String>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(text.as_bytes())?;
    let mut bytes = vec![0; LINE_BYTES_MAX];
    let length = terminal.read(&mut bytes)?;
    let line = String::from_utf8_lossy(&bytes[..length]).trim().to_owned();
    Ok((length > 0).then_some(line))
}

/// Asks for a line that is not shown. `None`: the input ended. Ctrl-C ends the process by the signal that it stands for.
pub fn ask(text: &str) -> io::Result<Option<Zeroizing<String>>> {
    let mut silent = Silent::new()?;
    silent.terminal.write_all(text.as_bytes())?;
    let mut bytes = Zeroizing::new(vec![0; LINE_BYTES_MAX]);
    let length = silent.terminal.read(&mut bytes)?;
    let line = &bytes[..length];
    if !line.ends_with(b"\n") {
        silent.terminal.write_all(b"\n")?;
    }
    if line.last() == Some(&silent.interrupt) {
        drop(silent);
        kill_process(getpid(), Signal::INT)?;
        // Where the signal is ignored, as for what a shell runs in the background, nothing has happened.
        process::exit(INTERRUPTED);
    }
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no UTF-8 text"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}
