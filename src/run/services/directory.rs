//! Folders and files.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::config::sources::directory::Directory;
use crate::format::record::Record;
use crate::ops::restore::Extra;
use crate::run::World;
use crate::run::services::{Prepared, Service, Stored, Trouble, with_causes};
use crate::source::directory::{Caches, DirectorySource, FileSystems, Options};

impl Service for Directory {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let options = Options {
            exclude: self.exclude.clone(),
            caches: if self.exclude_caches { Caches::Exclude } else { Caches::Include },
            file_systems: if self.one_file_system { FileSystems::One } else { FileSystems::All },
            skip: world.skip.clone(),
            ..Options::default()
        };
        let source = DirectorySource::new(self.paths.clone(), options).map_err(|error| with_causes(&error))?;
        let paths = self.paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
        Ok(Prepared { source: Box::new(source), forms: Vec::new(), paths })
    }

    fn troubles(&self, _: &World<'_>) -> Vec<Trouble> {
        let trouble = |path: &Path| {
            let found =
                path.metadata().and_then(|found| if found.is_dir() { path.read_dir().map(drop) } else { Ok(()) });
            let what = format!("cannot read {}: {}", path.display(), found.err()?);
            Some(Trouble::new(what, "correct `paths`, or let larder read it"))
        };
        self.paths.iter().filter_map(|path| trouble(path)).collect()
    }

    fn emptiness(&self) -> Option<String> {
        let is_empty = |path: &Path| path.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        let all = self.paths.iter().all(|path| is_empty(path));
        all.then(|| match self.paths.as_slice() {
            [path] => format!("{} is empty", path.display()),
            _ => "all of its folders are empty".to_owned(),
        })
    }

    fn plan(&self, record: &Record) -> Result<Vec<String>, String> {
        let extra = match self.extra() {
            _ if !record.complete => "what is not in the snapshot stays, for it is incomplete",
            Extra::Delete => "what is not in the snapshot is deleted, but for what `exclude` names",
            Extra::Leave => "what is not in the snapshot stays",
        };
        let paths = record.paths.iter().map(|path| String::from_utf8_lossy(path));
        Ok(paths.map(|path| format!("{path} becomes as it was stored; {extra}")).collect())
    }

    fn fits(&self, stored: &Stored<'_>, _: &World<'_>) -> Result<(), String> {
        self.paths.iter().try_for_each(|path| place(path, stored).map(drop))
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        for path in &self.paths {
            self.put_back_one(path, stored, world)?;
        }
        Ok(())
    }
}

impl Directory {
    /// Folders that were left out by other means than patterns must not be deleted.
    fn extra(&self) -> Extra {
        if self.one_file_system || self.exclude_caches { Extra::Leave } else { Extra::Delete }
    }

    fn put_back_one(&self, path: &Path, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        let (within, target) = place(path, stored)?;
        // A file's folder holds what is none of this source's business.
        let extra = if target == path { self.extra() } else { Extra::Leave };
        stored.fill(within, target, extra, &self.exclude, world)
    }
}

/// Where a path is in the snapshot, and the folder that it is to be put into.
///
/// Of one path, the snapshot's root is that folder, or holds that file; of several, each lies under its full path.
fn place<'p>(path: &'p Path, stored: &Stored<'_>) -> Result<(&'p [u8], &'p Path), String> {
    let bytes = path.as_os_str().as_bytes();
    let paths = &stored.record.paths;
    if !paths.iter().any(|stored| stored == bytes) {
        return Err(format!("the snapshot is not of {}; restore it with --to", path.display()));
    }
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let (within, is_file) = if paths.len() > 1 {
        let whole = bytes.strip_prefix(b"/").unwrap_or(bytes);
        (whole, stored.is_file(whole)?)
    } else {
        let only = !path.is_dir() && stored.files()?.iter().map(|(name, _)| name).eq([name]);
        (if only { name } else { &b""[..] }, only)
    };
    let target = if is_file { path.parent().ok_or("the path has no folder")? } else { path };
    Ok((within, target))
}
