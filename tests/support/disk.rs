//! Disks that are soon full.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::damage_repo::scratch;

/// A small disk of its own.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// So many bytes of memory.
    pub fn new(bytes: u64) -> Self {
        let folder = scratch();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "larder-test"]).arg(folder.path()).stderr(Stdio::null());
        assert!(mount.status().unwrap().success(), "the tests want to be root: they mount file systems");
        Self(folder)
    }

    /// From now on so many bytes.
    pub fn resize(&self, bytes: u64) {
        self.remount(&format!("size={bytes}"));
    }

    /// From now on it is mounted like this: `ro`, `rw`.
    pub fn remount(&self, option: &str) {
        let option = format!("remount,{option}");
        assert!(Command::new("mount").args(["-o", &option]).arg(self.path()).status().unwrap().success());
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
