//! Moments in which larder can be met for certain: it waits for a file that it wants to open, or for the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Files that cannot be opened for a while.
pub struct Hold {
    folder: TempDir,
    holding: Child,
}

impl Hold {
    /// Holds them; whoever opens one waits.
    pub fn new(files: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("hold.py")]).arg(folder.path().join("met")).args(files);
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut hold = Self { folder, holding: python.spawn().unwrap() };
        let mut line = String::new();
        BufReader::new(hold.holding.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "the tests want to be root, and fanotify");
        hold
    }

    /// Whether somebody waits.
    pub fn is_met(&self) -> bool {
        self.folder.path().join("met").exists()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _may_have_ended = self.holding.kill();
        let _nothing_to_learn = self.holding.wait();
    }
}

/// Begins a command, and kills it once something is so.
pub fn kill_when(command: &mut Command, mut so: impl FnMut() -> bool) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !so() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The packs of a repository, the largest first.
pub fn packs(repository: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(repository.join("packs")).unwrap().map(|folder| folder.unwrap().path());
    let mut packs: Vec<PathBuf> =
        folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|pack| pack.unwrap().path()).collect();
    packs.sort_by_key(|pack| std::cmp::Reverse(pack.metadata().map_or(0, |found| found.len())));
    packs
}
