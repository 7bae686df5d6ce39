//! The binary as people use it: who types this, sees that.
//!
//! Promise: every command once as it should go, and every kind of bad input with its message, hint and exit code.

mod bad_input;
mod browsing;
mod daemon;
mod damage;
mod drilling;
mod entries;
mod everyday;
mod full;
mod into;
mod killed;
mod notifying;
mod phases;
mod retention;
mod running;
mod status;
mod terminal;
mod together;
mod unattended;
mod unlocking;

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::schemas;

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// A folder in which somebody types commands.
struct Shell {
    folder: TempDir,
    variables: Vec<(String, String)>,
    user: Option<u32>,
    program: PathBuf,
}

/// What somebody saw.
struct Seen {
    what: String,
    code: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    /// Without a repository. The folder is the current one; a key file unlocks, because stretching takes its time.
    fn bare() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("key"), "00112233445566778899aabbccddeeff".repeat(2)).unwrap();
        let variables = vec![("LARDER_REPO".into(), "repository".into()), ("LARDER_KEY_FILE".into(), "key".into())];
        Self { folder, variables, user: None, program: env!("CARGO_BIN_EXE_larder").into() }
    }

    /// With an empty repository.
    fn new() -> Self {
        let shell = Self::bare();
        shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
        shell
    }

    /// With a folder `data` and a snapshot of it: `one`, `folder/two`, and `link` to `one`.
    fn with_snapshot() -> Self {
        let shell = Self::new();
        shell.write("data/one", "one\n");
        shell.write("data/folder/two", "two, and more\n");
        std::os::unix::fs::symlink("one", shell.path("data/link")).unwrap();
        shell.types("backup data --host here --quiet").sees(0, "", "");
        shell
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.unset(name);
        self.variables.push((name.into(), value.into()));
        self
    }

    fn unset(&mut self, name: &str) {
        self.variables.retain(|variable| variable.0 != name);
    }

    /// From now on somebody types who owns nothing, and is not root.
    fn typed_by_nobody(mut self) -> Self {
        fs::set_permissions(self.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        // The build folder may be out of reach for nobody.
        let program = self.path("larder");
        // By another process: no child of this one may hold the file open for writing while it is started.
        assert!(Command::new("cp").arg(&self.program).arg(&program).status().unwrap().success());
        self.program = program;
        self.user = Some(NOBODY);
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Types `larder` and these words, which spaces separate; `'one word'` may have some.
    fn types(&self, line: &str) -> Seen {
        self.pipes("", line)
    }

    /// The same, with something on standard input.
    fn pipes(&self, input: &str, line: &str) -> Seen {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        // Who does not read closes early.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let seen = seen(line, child.wait_with_output().unwrap());
        schemas::answer_holds(line, &seen.stdout);
        if line.starts_with("run") {
            schemas::hold_in(self.folder.path());
            schemas::hold_in(&self.path("status"));
        }
        seen
    }

    /// The same, with this file or folder as standard input.
    fn redirects(&self, input: &Path, line: &str) -> Seen {
        seen(line, self.command(line).stdin(fs::File::open(input).unwrap()).output().unwrap())
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words(line)).current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("TZ", "UTC").env("XDG_CACHE_HOME", self.path("cache"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// The full id of the snapshot that has a tag, or is the only one.
    fn id(&self, filter: &str) -> String {
        let seen = self.types(&format!("snapshots --json {filter}"));
        let listed: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
        listed.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// All objects of the repository, with their bytes.
    fn objects(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.path("repository")];
        let mut objects = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    objects.push((entry.path(), fs::read(entry.path()).unwrap()));
                }
            }
        }
        objects.sort();
        objects
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn seen(line: &str, output: std::process::Output) -> Seen {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    Seen { what: line.to_owned(), code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Seen {
    /// Exit code, standard output and standard error, line by line; a `*` stands for anything within a line.
    #[track_caller]
    fn sees(&self, code: i32, stdout: &str, stderr: &str) {
        let fits = self.code == code && fits_all(&self.stdout, stdout) && fits_all(&self.stderr, stderr);
        assert!(
            fits,
            "$ larder {}\n[{}]\n{}{}\n-- expected --\n[{code}]\n{stdout}\n{stderr}",
            self.what, self.code, self.stdout, self.stderr
        );
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("$ larder {}\n{error}\n{}{}", self.what, self.stdout, self.stderr))
    }
}

fn fits_all(text: &str, expected: &str) -> bool {
    let lines = |text: &str| text.lines().map(str::trim_end).map(str::to_owned).collect::<Vec<_>>();
    let expected: Vec<String> =
        expected.lines().map(|line| line.trim_end().trim_start_matches('|').to_owned()).collect();
    let found = lines(text);
    found.len() == expected.len() && found.iter().zip(&expected).all(|(line, expected)| fits(line, expected))
}

/// Whether a line fits one in which `*` stands for anything. Runs of spaces count as one.
fn fits(line: &str, expected: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, expected) = (squeeze(line), squeeze(expected));
    let mut parts = expected.split('*');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn a_star_stands_for_anything_within_a_line() {
    for (line, expected) in [("a b", "a  b"), ("a b", "*"), ("a b c", "a * c"), ("", ""), ("abcabc", "a*c")] {
        assert!(fits(line, expected), "{line} {expected}");
    }
    for (line, expected) in [("a b", "a"), ("a b", "b*"), ("ab", "a*b*b")] {
        assert!(!fits(line, expected), "{line} {expected}");
    }
}
