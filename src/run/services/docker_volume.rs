//! Volumes of a Docker engine on this machine: their folders, as the engine keeps them.
//!
//! A snapshot of one volume is its content; one of several holds each as a folder of its name. Whatever was done to the
//! containers for it is undone before anything else happens.
//! Left out on purpose: volumes of other drivers, and mounts that are there only while a container runs.

mod engine;
mod standstill;

use std::path::Path;

use crate::config::sources::docker_volume::{DockerVolume, Which, WhileRunning};
use crate::format::record::Record;
use crate::ops::restore::Extra;
use crate::run::World;
use crate::run::services::docker_volume::engine::{Container, Engine, Volume};
use crate::run::services::docker_volume::standstill::{How, Standstill};
use crate::run::services::{Held, Prepared, Purpose, Service, Stored, Trouble, with_causes};
use crate::source::directory::{DirectorySource, Options};

const ELSEWHERE: &str = "run larder as root on the machine of the Docker engine, or mount the volume read-only into \
                         larder's own container and use kind directory";

impl Service for DockerVolume {
    fn prepare(&self, world: &World<'_>) -> Result<Prepared, String> {
        let volumes = self.volumes().map_err(in_full)?;
        let options = Options { exclude: self.exclude.clone(), skip: world.skip.clone(), ..Options::default() };
        let source = match volumes.as_slice() {
            [one] => DirectorySource::new(vec![one.mountpoint.clone()], options),
            several => {
                let folders = several.iter().map(|volume| (volume.name.clone(), volume.mountpoint.clone()));
                DirectorySource::named(folders.collect(), options)
            }
        };
        let source = source.map_err(|error| with_causes(&error))?;
        let paths = volumes.into_iter().map(|volume| volume.name.into_bytes()).collect();
        Ok(Prepared { source: Box::new(source), forms: Vec::new(), paths })
    }

    fn hold(&self, purpose: Purpose<'_>, _: &World<'_>) -> Result<Option<Box<dyn Held>>, String> {
        let (containers, how) = match (purpose, self.while_running) {
            (Purpose::PutBack(record), _) => (users(&self.wanted(record)?)?, How::Stopped),
            (Purpose::Backup, WhileRunning::Leave) => return Ok(None),
            (Purpose::Backup, WhileRunning::Pause) => (writers(&self.names()?)?, How::Paused),
            (Purpose::Backup, WhileRunning::Stop) => (writers(&self.names()?)?, How::Stopped),
        };
        Ok(Some(Box::new(Standstill::begin(Engine::HERE, &containers, how)?)))
    }

    fn troubles(&self, _: &World<'_>) -> Vec<Trouble> {
        self.look().err().into_iter().collect()
    }

    fn plan(&self, record: &Record) -> Result<Vec<String>, String> {
        let names = self.wanted(record)?;
        let mut lines = Vec::new();
        for name in &names {
            lines.push(match Engine::HERE.volume(name)? {
                Some(_) => format!(
                    "volume {name} becomes as it was stored; what is not in the snapshot is deleted, but for what \
                     `exclude` names"
                ),
                None => format!("volume {name} is made, and filled"),
            });
        }
        let containers: Vec<String> = users(&names)?.iter().map(|container| container.name().to_owned()).collect();
        if !containers.is_empty() {
            lines.push(format!(
                "before all of that containers are stopped, and then started: {}",
                containers.join(", ")
            ));
        }
        Ok(lines)
    }

    fn put_back(&self, stored: &Stored<'_>, world: &World<'_>) -> Result<(), String> {
        at_home().map_err(in_full)?;
        let several = stored.record.paths.len() > 1;
        for name in self.wanted(stored.record)? {
            if Engine::HERE.volume(&name)?.is_none() {
                Engine::HERE.create(&name, self.label())?;
            }
            let volume = usable(&name).map_err(in_full)?;
            let within = if several { name.as_bytes() } else { b"" };
            stored
                .fill(within, &volume.mountpoint, Extra::Delete, &self.exclude, world)
                .map_err(|error| format!("volume {name}: {error}"))?;
        }
        Ok(())
    }
}

impl DockerVolume {
    fn label(&self) -> Option<&str> {
        match &self.which {
            Which::Labelled(label) => Some(label),
            Which::Named(_) => None,
        }
    }

    /// The names of the volumes to be backed up.
    fn names(&self) -> Result<Vec<String>, String> {
        match &self.which {
            Which::Named(names) => Ok(names.clone()),
            Which::Labelled(label) => Engine::HERE.volumes(&format!("label={label}")),
        }
    }

    /// The volumes to be backed up, all of which can be read.
    fn volumes(&self) -> Result<Vec<Volume>, Trouble> {
        at_home()?;
        let names = self.names().map_err(unreachable)?;
        if let (Which::Labelled(label), true) = (&self.which, names.is_empty()) {
            let hint = "docker volume inspect NAME shows the labels of a volume";
            return Err(Trouble::new(format!("no volume has the label {label}"), hint));
        }
        names.iter().map(|name| usable(name)).collect()
    }

    /// The names of the volumes of a snapshot that are to be put back.
    fn wanted(&self, record: &Record) -> Result<Vec<String>, String> {
        let stored: Vec<String> = record.paths.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        match &self.which {
            // Paths of folders and the like are no names of volumes.
            Which::Labelled(_) if stored.is_empty() || stored.iter().any(|name| name.contains(['/', ':'])) => {
                Err("the snapshot is not of volumes; restore it with --to".to_owned())
            }
            Which::Labelled(_) => Ok(stored),
            Which::Named(names) => match names.iter().find(|name| !stored.contains(name)) {
                Some(missing) => Err(format!("the snapshot does not hold the volume {missing}; restore it with --to")),
                None => Ok(names.clone()),
            },
        }
    }

    fn look(&self) -> Result<(), Trouble> {
        let volumes = self.volumes()?;
        if self.while_running != WhileRunning::Stop {
            return Ok(());
        }
        let names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
        let containers = writers(&names).map_err(unreachable)?;
        match containers.iter().find(|container| container.removes_itself()) {
            Some(gone) => {
                let what = format!("container {} is removed when it is stopped (--rm)", gone.name());
                Err(Trouble::new(what, "run it without --rm, or give while_running = \"pause\""))
            }
            None => Ok(()),
        }
    }
}

/// A volume that is there and whose content can be read.
fn usable(name: &str) -> Result<Volume, Trouble> {
    let Some(volume) = Engine::HERE.volume(name).map_err(unreachable)? else {
        return Err(Trouble::new(format!("there is no volume {name}"), "docker volume ls shows those there are"));
    };
    if volume.driver != "local" {
        let what = format!("volume {name} is of the driver {}", volume.driver);
        return Err(Trouble::new(what, "only volumes of the driver local can be read; back up what is behind it"));
    }
    if let Some(device) = volume.mounted() {
        let what = format!("volume {name} is a mount of {device}, which is there only while a container runs");
        return Err(Trouble::new(what, "back up what is mounted there, with kind directory"));
    }
    match read(&volume.mountpoint) {
        Ok(()) => Ok(volume),
        Err(error) => {
            let what = format!("cannot read volume {name} at {}: {error}", volume.mountpoint.display());
            Err(Trouble::new(what, ELSEWHERE))
        }
    }
}

/// Whether the paths that the engine names can be ones of this machine.
fn at_home() -> Result<(), Trouble> {
    let address = Engine::HERE.address().map_err(unreachable)?;
    if address.starts_with("ssh:") {
        return Err(Trouble::new(format!("the Docker engine is another machine's: {address}"), ELSEWHERE));
    }
    Ok(())
}

fn read(folder: &Path) -> std::io::Result<()> {
    folder.read_dir().map(drop)
}

/// What it means that docker does not answer.
fn unreachable(error: String) -> Trouble {
    if error.starts_with("cannot start docker") {
        return Trouble::new(error, "install Docker's command line client");
    }
    Trouble::new(error, "check that the Docker engine runs, DOCKER_HOST, and that larder may use its socket")
}

fn in_full(trouble: Trouble) -> String {
    format!("{}; {}", trouble.what, trouble.hint)
}

/// The running containers that can write to one of the volumes.
fn writers(volumes: &[String]) -> Result<Vec<Container>, String> {
    let mut containers = Engine::HERE.containers(volumes, &["running"])?;
    containers.retain(|container| volumes.iter().any(|volume| container.writes_to(volume)));
    Ok(containers)
}

/// The containers that use one of the volumes and do not stand still.
fn users(volumes: &[String]) -> Result<Vec<Container>, String> {
    let containers = Engine::HERE.containers(volumes, &["running", "restarting", "paused"])?;
    match containers.iter().find(|container| container.state.status == "paused") {
        Some(paused) => Err(format!("container {} is paused: unpause or stop it first", paused.name())),
        None => Ok(containers),
    }
}
