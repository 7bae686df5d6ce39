//! What somebody at a terminal sees: the prompts.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::Shell;

/// The leader of the terminal's session. It stays until it is killed: when a leader ends, the system throws away
/// what was written to the terminal and not yet read.
const LEADER: &str = r#"trap : INT; "$@"; echo "[ended: $?]"; exec sleep 600"#;

/// A terminal with the program on it.
pub(super) struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    pub(super) fn new(mut shell: Shell, line: &str) -> (Self, Shell) {
        // `setsid` gives the program a terminal of its own without a line of unsafe code here.
        let original = std::mem::replace(&mut shell.program, "setsid".into());
        let leader = shell.path("leader.sh");
        std::fs::write(&leader, LEADER).unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_bytes();
        let name = PathBuf::from(std::ffi::OsString::from_vec(name));
        let slave = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let program = format!("--ctty sh {} {} {line}", leader.display(), original.display());
        let mut command = shell.command(&program);
        let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
        shell.program = original;
        (Self { master: master.into(), child, seen: String::new() }, shell)
    }

    /// Waits until this was shown, then types that.
    pub(super) fn answers(&mut self, shown: &str, typed: &str) {
        self.waits_for(shown);
        self.master.write_all(typed.as_bytes()).unwrap();
    }

    fn waits_for(&mut self, shown: &str) {
        let from = self.seen.len();
        let mut buffer = [0; 1000];
        while !self.seen[from..].contains(shown) {
            let read = self.master.read(&mut buffer);
            let length = read.unwrap_or_else(|error| panic!("{shown:?} was not shown: {error}: {}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Waits for the end: exit code (128 and the signal's number, if one ended it), and all that was shown.
    pub(super) fn ends(mut self) -> (i32, String) {
        self.waits_for("]\r\n");
        assert!(tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO), "what is typed is not shown");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let seen = self.seen.replace('\r', "");
        let (seen, code) = seen.rsplit_once("[ended: ").unwrap();
        (code.trim_end_matches("]\n").parse().unwrap(), seen.into())
    }
}

/// Without any password given.
fn asking() -> Shell {
    let mut shell = Shell::bare();
    shell.unset("LARDER_KEY_FILE");
    shell
}

#[test]
fn a_new_password_is_asked_for_twice_and_shown_never() {
    let (mut terminal, shell) = Terminal::new(asking(), "init --timezone UTC --recovery-file recovery --quiet");
    terminal.answers("New password: ", "correct horse\n");
    terminal.answers("The same again: ", "correct horse\n");
    assert_eq!(terminal.ends(), (0, "New password: \nThe same again: \n".into()));
    let (mut terminal, shell) = Terminal::new(shell, "snapshots --quiet");
    terminal.answers("Password of the repository: ", "correct horse\n");
    assert_eq!(terminal.ends().0, 0);
    let (mut terminal, _shell) = Terminal::new(shell, "snapshots");
    terminal.answers("Password of the repository: ", "wrong\n");
    let (code, seen) = terminal.ends();
    assert!(code == 12 && seen.contains("\nerror: wrong password or key\n"), "{code} {seen}");
}

#[test]
fn two_passwords_that_differ_make_no_repository() {
    let (mut terminal, shell) = Terminal::new(asking(), "init");
    terminal.answers("New password: ", "correct horse\n");
    terminal.answers("The same again: ", "correct house\n");
    let (code, seen) = terminal.ends();
    assert!(
        code == 2 && seen.contains("\nerror: the two passwords differ\n  hint: nothing was done; "),
        "{code} {seen}"
    );
    assert!(!shell.path("repository").exists());
}

/// Ctrl-C at the prompt left a terminal behind that showed nothing of what was typed.
#[test]
fn a_prompt_that_is_broken_off_leaves_the_terminal_as_it_was() {
    let (mut terminal, shell) = Terminal::new(asking(), "init");
    terminal.answers("New password: ", "corr\x03");
    let (code, seen) = terminal.ends();
    assert_eq!((code, seen), (130, "New password: \n".into()));
    let (mut terminal, shell) = Terminal::new(shell, "init");
    terminal.answers("New password: ", "\x04");
    let (code, seen) = terminal.ends();
    assert!(code == 2 && seen.starts_with("New password: \nerror: no password was typed\n"), "{code} {seen}");
    assert!(!shell.path("repository").exists());
}
