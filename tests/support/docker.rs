//! A real Docker engine of its own: in a temporary folder, without a network, gone with the test whatever becomes of it.
//!
//! Left out on purpose: registries. Images are made of what this machine has.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::binary::{Done, Larder};
use crate::support::waiting::wait_for;

/// Where programs are found. The tests give larder no other variables than these.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The image with a shell in it.
pub const BOX: &str = "larder/box";

/// Pauses that a daemon may take to end by itself.
const ENDING_PAUSES_MAX: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// An engine.
pub struct Engine {
    folder: TempDir,
    daemon: Child,
}

impl Engine {
    /// Starts one, with the image [`BOX`] in it.
    pub fn start() -> Self {
        // Short: the path of a socket may have 107 bytes.
        let folder = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
        let daemon = begun(&folder);
        let mut engine = Self { folder, daemon };
        engine.is_up();
        engine.make_box();
        engine
    }

    fn is_up(&mut self) {
        wait_for("the engine starts", || {
            let ended = self.daemon.try_wait().unwrap();
            assert!(ended.is_none(), "dockerd {ended:?}: {}", fs::read_to_string(self.path("log")).unwrap());
            self.docker(&["version"]).status.success()
        });
    }

    /// Ends it at once, as `kill -9` does.
    pub fn dies(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// Starts it again, with what it had.
    pub fn comes_back(&mut self) {
        // What it had started ends with it, but may not be collected yet, and a new one would take it for alive.
        let _was_not_there = fs::remove_file(self.path("exec/containerd/containerd.pid"));
        self.daemon = begun(&self.folder);
        self.is_up();
    }

    /// A place in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `DOCKER_HOST` has to be.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("socket").display())
    }

    /// `docker` with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("PATH", PATH).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn docker(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("docker is not installed: run scripts/test")
    }

    /// Runs it, and it must succeed. What it printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.docker(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Makes a volume, and says where its content is.
    pub fn volume(&self, name: &str, more: &[&str]) -> PathBuf {
        self.ok(&[&["volume", "create"], more, &[name]].concat());
        self.mountpoint(name)
    }

    /// Where the content of a volume is.
    pub fn mountpoint(&self, name: &str) -> PathBuf {
        self.ok(&["volume", "inspect", "--format", "{{.Mountpoint}}", name]).into()
    }

    /// Something about a container.
    pub fn of(&self, container: &str, format: &str) -> String {
        self.ok(&["inspect", "--format", format, container])
    }

    /// What a container is doing, in a word.
    pub fn state(&self, container: &str) -> String {
        self.of(container, "{{.State.Status}}")
    }

    /// When a container was started last.
    pub fn started(&self, container: &str) -> String {
        self.of(container, "{{.State.StartedAt}}")
    }

    /// Makes an image of a folder.
    pub fn import(&self, root: &Path, image: &str) {
        let archive = self.path("image.tar");
        let tar = Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg(".").status().unwrap();
        assert!(tar.success());
        self.ok(&["import", archive.to_str().unwrap(), image]);
        fs::remove_file(archive).unwrap();
    }

    /// Makes an image of next to nothing, for containers that have the programs of this machine mounted as `/usr`.
    pub fn import_shell_of_this_machine(&self, image: &str) {
        let root = self.path("shell");
        for folder in ["data", "dev", "etc", "proc", "sys", "tmp", "usr"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for name in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        for name in ["passwd", "group"] {
            fs::copy(format!("/etc/{name}"), root.join("etc").join(name)).unwrap();
        }
        self.import(&root, image);
    }

    fn make_box(&self) {
        let root = self.path("box");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is not installed: run scripts/test");
        for name in ["sh", "sleep", "mv", "touch", "rm"] {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        self.import(&root, BOX);
    }

    /// larder, which finds this engine.
    pub fn larder(&self, larder: &Larder, words: &[&str]) -> Done {
        Done::of(self.larder_command(larder, words).output().unwrap(), words)
    }

    /// The same, not begun yet.
    pub fn larder_command(&self, larder: &Larder, words: &[&str]) -> Command {
        let mut command = larder.command(words);
        command.env("PATH", PATH).env("DOCKER_HOST", self.host());
        command
    }

    /// Ends the daemon, by force if it must be, and whatever else it started.
    fn end(&mut self) {
        let ids = self.docker(&["ps", "--all", "--quiet"]).stdout;
        let ids: Vec<String> = String::from_utf8_lossy(&ids).lines().map(str::to_owned).collect();
        let words: Vec<&str> = ["rm", "--force"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        self.docker(&words);
        let pid = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw);
        let _may_have_ended = pid.map(|pid| kill_process(pid, Signal::TERM));
        for _ in 0..ENDING_PAUSES_MAX {
            if matches!(self.daemon.try_wait(), Ok(Some(_))) {
                break;
            }
            sleep(PAUSE);
        }
        let _may_have_ended = self.daemon.kill();
        let _nothing_to_learn = self.daemon.wait();
        for pid in processes_with(self.folder.path()) {
            let _may_have_ended = kill_process(pid, Signal::KILL);
        }
    }
}

fn begun(folder: &TempDir) -> Child {
    let at = |name: &str| folder.path().join(name);
    let log = fs::File::create(at("log")).unwrap();
    let mut command = Command::new("dockerd");
    command.arg("--data-root").arg(at("root")).arg("--exec-root").arg(at("exec")).arg("--pidfile").arg(at("pid"));
    command.arg("--host").arg(format!("unix://{}", at("socket").display()));
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]);
    command.env("PATH", PATH).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().expect("dockerd is not installed: run scripts/test")
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
        for mount in mounts_below(self.folder.path()) {
            let _a_folder_is_left_then = Command::new("umount").arg("--lazy").arg(mount).status();
        }
    }
}

/// The processes of this engine: its folder is in their arguments.
fn processes_with(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_str().unwrap().as_bytes();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = numbers.filter(|number| {
        let arguments = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let program = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
        let engine = program.windows(10).any(|part| part == b"containerd");
        engine && arguments.windows(folder.len()).any(|part| part == folder)
    });
    ours.filter_map(Pid::from_raw).collect()
}

/// What is mounted below a folder, the innermost first.
fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    let mut below: Vec<PathBuf> = places.filter(|place| place.starts_with(folder)).collect();
    below.sort();
    below.reverse();
    below
}
