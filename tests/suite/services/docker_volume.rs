//! Volumes of a real Docker engine: backed up while containers write to them, put back after they were emptied or
//! removed; and whatever happens to larder, the containers run again.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::drill::proves;
use crate::support::binary::{Done, Larder};
use crate::support::damage_repo::noise;
use crate::support::docker::{BOX, Engine};
use crate::support::waiting::wait_for;

/// Writes the same number into two files, one after the other; while it is at work, it says so.
const WRITER: &str = "trap end=1 TERM; touch /data/at-work; n=0; while [ -z \"$end\" ]; do n=$((n+1)); \
                      echo $n >/data/first; sleep 0.01; echo $n >/data/second; done; rm /data/at-work";
/// Ends as soon as it is asked to.
const WAITER: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

fn container(engine: &Engine, name: &str, options: &[&str], script: &str) {
    let run = ["run", "--detach", "--name", name, "--network", "none"];
    engine.ok(&[&run, options, &[BOX, "sh", "-c", script]].concat());
}

/// What happened to a container since it was made.
fn history(engine: &Engine, name: &str) -> Vec<String> {
    let filter = format!("container={name}");
    let now = engine.ok(&["info", "--format", "{{.SystemTime}}"]);
    let words = ["events", "--since", "0", "--until", &now, "--filter", &filter, "--format", "{{.Action}}"];
    engine.ok(&words).lines().map(str::to_owned).collect()
}

fn times(history: &[String], action: &str) -> usize {
    history.iter().filter(|one| *one == action).count()
}

fn configure(larder: &Larder, source: &str) {
    let repository = larder.path("repository").display().to_string();
    let head = format!("[repository]\npath = \"{repository}\"\n[source.shop]\nkind = \"docker_volume\"\n");
    fs::write(larder.path("larder.toml"), head + source).unwrap();
}

fn words<'w>(larder: &Larder, config: &'w mut String, words: &[&'w str]) -> Vec<&'w str> {
    *config = larder.path("larder.toml").display().to_string();
    [words, &["--json", "--config", config]].concat()
}

fn larder_with(engine: &Engine, larder: &Larder, given: &[&str]) -> Done {
    let mut config = String::new();
    engine.larder(larder, &words(larder, &mut config, given))
}

fn run(engine: &Engine, larder: &Larder) -> Done {
    larder_with(engine, larder, &["run"])
}

fn restore_into(engine: &Engine, larder: &Larder, more: &[&str]) -> Done {
    larder_with(engine, larder, &[&["restore", "shop@latest", "--into", "shop", "--yes"], more].concat())
}

fn good(done: Done) -> serde_json::Value {
    assert_eq!(done.code, Some(0), "{done:?}");
    done.json()
}

/// What went wrong with the only source.
fn errors(done: &Done) -> String {
    let report = done.json();
    let errors = report["sources"][0]["errors"].as_array().unwrap_or_else(|| panic!("{done:?}")).clone();
    errors.iter().map(|error| error.as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The newest snapshot, put into a folder.
fn restored(larder: &Larder, folder: &str) -> std::path::PathBuf {
    let target = larder.path(folder);
    larder.ok(&["restore", "shop@latest", "--to", target.to_str().unwrap()]);
    target
}

#[test]
fn a_volume_that_is_written_to_is_stored_and_what_uses_it_runs_on() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::write(volume.join("owned"), "theirs").unwrap();
    chown(volume.join("owned"), Some(1234), Some(5678)).unwrap();
    container(&engine, "writer", &["--volume", "data:/data"], WRITER);
    container(&engine, "reader", &["--volume", "data:/data:ro"], WAITER);
    container(&engine, "idle", &["--volume", "data:/data"], WAITER);
    engine.ok(&["stop", "idle"]);
    let quiet = history(&engine, "idle");
    wait_for("the writer writes", || volume.join("second").exists());
    for (mode, action, undone) in [("leave", "none", "none"), ("pause", "pause", "unpause"), ("stop", "stop", "start")]
    {
        let before = history(&engine, "writer");
        configure(&larder, &format!("volume = \"data\"\nwhile_running = \"{mode}\"\n"));
        let report = good(run(&engine, &larder));
        assert_eq!((report["status"].as_str(), engine.state("writer").as_str()), (Some("done"), "running"), "{report}");
        let since = &history(&engine, "writer")[before.len()..];
        let once = usize::from(mode != "leave");
        assert_eq!((times(since, action), times(since, undone)), (once, once), "{mode}: {since:?}");
        let stored = restored(&larder, mode);
        assert_eq!(stored.join("at-work").exists(), mode != "stop");
        let owned = fs::metadata(stored.join("owned")).unwrap();
        assert_eq!((owned.uid(), owned.gid(), read(stored.join("owned")).as_str()), (1234, 5678, "theirs"));
        if mode == "stop" {
            assert_eq!(read(stored.join("first")), read(stored.join("second")));
        }
    }
    // Who cannot write, and who did not run, is left alone.
    assert_eq!((times(&history(&engine, "reader"), "stop"), history(&engine, "idle")), (0, quiet));
    let before = history(&engine, "writer");
    good(larder_with(&engine, &larder, &["run", "--dry-run"]));
    assert_eq!(history(&engine, "writer"), before);
}

#[test]
fn volumes_of_a_label_come_back_even_those_that_were_removed() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let label = ["--label", "com.docker.compose.project=shop"];
    let (db, files) = (engine.volume("shop_db", &label), engine.volume("shop_files", &label));
    let other = engine.volume("other", &["--label", "com.docker.compose.project=shopping"]);
    fs::write(other.join("secret"), "not ours").unwrap();
    fs::write(db.join("table"), noise(1, 300_000)).unwrap();
    fs::create_dir_all(files.join("photos/2026")).unwrap();
    fs::write(files.join("photos/2026/one"), "one").unwrap();
    fs::write(files.join("cache"), "old").unwrap();
    chown(&files, Some(33), Some(33)).unwrap();
    container(&engine, "db", &["--volume", "shop_db:/data"], WAITER);
    container(&engine, "web", &["--volume", "shop_files:/files", "--volume", "shop_db:/db"], WAITER);
    configure(
        &larder,
        "label = \"com.docker.compose.project=shop\"\nexclude = [\"/shop_files/cache\"]\nwhile_running = \"stop\"\n",
    );
    good(run(&engine, &larder));
    let stored = restored(&larder, "stored");
    let mut names: Vec<_> = fs::read_dir(&stored).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["shop_db", "shop_files"]);
    let (before, volumes) = (history(&engine, "web"), engine.ok(&["volume", "ls"]));
    assert_eq!(proves(&larder, "shop"), "a folder");
    assert_eq!((history(&engine, "web"), engine.ok(&["volume", "ls"])), (before, volumes));
    assert!(!stored.join("shop_files/cache").exists());
    // Nothing changed: nothing is read again, and next to nothing stored.
    let report = good(run(&engine, &larder));
    assert_eq!(report["sources"][0]["new_bytes"].as_u64(), Some(0), "{report}");

    engine.ok(&["rm", "--force", "web"]);
    engine.ok(&["volume", "rm", "shop_files"]);
    fs::write(db.join("table"), "broken").unwrap();
    fs::write(db.join("surplus"), "new").unwrap();
    let before = engine.started("db");
    let came = good(restore_into(&engine, &larder, &[]));
    assert_eq!((came["restored"].as_bool(), came["safety_snapshot"].is_string()), (Some(true), true), "{came}");
    assert!(*fs::read(db.join("table")).unwrap() == *noise(1, 300_000) && !db.join("surplus").exists());
    let files = engine.mountpoint("shop_files");
    assert_eq!((read(files.join("photos/2026/one")).as_str(), files.metadata().unwrap().uid()), ("one", 33));
    assert_eq!(
        engine.ok(&["volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project=shop"]),
        "shop_db\nshop_files"
    );
    assert_eq!((engine.state("db").as_str(), engine.started("db") == before), ("running", false));
    assert_eq!(read(other.join("secret")), "not ours");
}

#[test]
fn a_volume_is_filled_again_after_it_was_emptied_or_removed() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::create_dir(volume.join("deep")).unwrap();
    fs::write(volume.join("deep/file"), "content").unwrap();
    container(&engine, "user", &["--volume", "data:/data"], WAITER);
    configure(&larder, "volume = \"data\"\nexclude = [\"*.tmp\"]\n");
    good(run(&engine, &larder));
    let plan = larder_with(&engine, &larder, &["restore", "shop@latest", "--into", "shop", "--dry-run"]);
    assert_eq!((plan.code, times(&history(&engine, "user"), "stop")), (Some(0), 0));

    fs::remove_dir_all(volume.join("deep")).unwrap();
    fs::write(volume.join("mine.tmp"), "").unwrap();
    let came = good(restore_into(&engine, &larder, &[]));
    assert_eq!(came["restored"].as_bool(), Some(true), "{came}");
    // `leave` is for backups: while it is filled, nothing runs on it.
    assert_eq!((times(&history(&engine, "user"), "stop"), engine.state("user").as_str()), (1, "running"));
    assert_eq!(read(volume.join("deep/file")), "content");
    assert!(volume.join("mine.tmp").exists());

    engine.ok(&["rm", "--force", "user"]);
    engine.ok(&["volume", "rm", "data"]);
    let refused = restore_into(&engine, &larder, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("there is no volume data") && refused.err.contains("--no-safety-snapshot"),
        "{refused:?}"
    );
    good(restore_into(&engine, &larder, &["--no-safety-snapshot"]));
    assert_eq!(read(engine.mountpoint("data").join("deep/file")), "content");
}

#[test]
fn after_a_backup_that_fails_the_containers_run_again() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::write(volume.join("large"), noise(1, 3 << 20)).unwrap();
    for name in ["first", "second"] {
        container(&engine, name, &["--volume", "data:/data"], WAITER);
    }
    for (mode, undone) in [("stop", "start"), ("pause", "unpause")] {
        configure(&larder, &format!("volume = \"data\"\nwhile_running = \"{mode}\"\n"));
        let before = ["first", "second"].map(|name| times(&history(&engine, name), undone));
        // No file may be longer than this: a disk without room.
        let mut config = String::new();
        let given = words(&larder, &mut config, &["run"]);
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_larder")])
            .args(given);
        let like = engine.larder_command(&larder, &[]);
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let done = Done::of(output, &["run"]);
        assert_eq!((done.code, done.json()["sources"][0]["snapshot"].is_null()), (Some(1), true), "{done:?}");
        let after = ["first", "second"].map(|name| times(&history(&engine, name), undone));
        assert_eq!(after, before.map(|times| times + 1), "{done:?}");
        assert_eq!((engine.state("first"), engine.state("second")), ("running".to_owned(), "running".to_owned()));
    }
    // A hook that fails before anything is done to them.
    let text = read(larder.path("larder.toml")) + "[source.shop.hooks]\nbefore = \"exit 3\"\n";
    fs::write(larder.path("larder.toml"), text).unwrap();
    let before = history(&engine, "first");
    assert_eq!(run(&engine, &larder).code, Some(1));
    assert_eq!(history(&engine, "first"), before);
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Kills larder while a container is stopped, or paused, because of it.
fn kill_while(engine: &Engine, larder: &Larder, given: &[&str], container: &str, state: &str) {
    let mut config = String::new();
    let given = words(larder, &mut config, given);
    for _ in 0..20 {
        let mut command = engine.larder_command(larder, &given);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            if engine.state(container) != state {
                continue;
            }
            // Not killed at once: it may have let go in between.
            signal(&child, Signal::STOP);
            let held = engine.state(container) == state;
            signal(&child, if held { Signal::KILL } else { Signal::CONT });
            if held {
                child.wait().unwrap();
                return;
            }
        }
    }
    panic!("larder was never met while {container} was {state}");
}

#[test]
fn after_a_kill_the_containers_run_again() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::write(volume.join("large"), noise(1, 6 << 20)).unwrap();
    let mounted = engine.path("mounted");
    fs::create_dir(&mounted).unwrap();
    let mount = format!("type=bind,source={},target=/mounted", mounted.display());
    container(&engine, "db", &["--volume", "data:/data"], WAITER);
    container(&engine, "lost", &["--volume", "data:/data", "--mount", &mount], WAITER);
    container(&engine, "web", &["--volume", "data:/data"], WAITER);
    for (mode, state) in [("stop", "exited"), ("pause", "paused")] {
        configure(&larder, &format!("volume = \"data\"\nwhile_running = \"{mode}\"\n"));
        kill_while(&engine, &larder, &["run"], "db", state);
        for name in ["db", "lost", "web"] {
            wait_for("it runs again", || engine.state(name) == "running");
        }
        good(run(&engine, &larder));
    }
    kill_while(&engine, &larder, &["restore", "shop@latest", "--into", "shop", "--yes"], "db", "exited");
    for name in ["db", "lost", "web"] {
        wait_for("it runs again", || engine.state(name) == "running");
    }
    good(restore_into(&engine, &larder, &[]));
    assert!(*fs::read(volume.join("large")).unwrap() == *noise(1, 6 << 20));
    // One that cannot be started does not keep the others down, with nobody left to hear of it.
    configure(&larder, "volume = \"data\"\nwhile_running = \"stop\"\n");
    fs::remove_dir(&mounted).unwrap();
    kill_while(&engine, &larder, &["run"], "db", "exited");
    for name in ["db", "web"] {
        wait_for("it runs again", || engine.state(name) == "running");
    }
    assert_eq!(engine.state("lost"), "exited");
}

#[test]
fn a_kill_while_a_container_is_being_stopped_leaves_it_running_too() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    let stubborn = "trap 'touch /data/asked' TERM; while :; do sleep 0.05; done";
    container(&engine, "db", &["--volume", "data:/data", "--stop-timeout", "3"], stubborn);
    configure(&larder, "volume = \"data\"\nwhile_running = \"stop\"\n");
    let before = engine.started("db");
    let mut config = String::new();
    let given = words(&larder, &mut config, &["run"]);
    let mut child = engine.larder_command(&larder, &given).stdout(Stdio::null()).spawn().unwrap();
    wait_for("it is asked to stop", || volume.join("asked").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("it runs again", || engine.state("db") == "running" && engine.started("db") != before);
}

#[test]
fn a_container_that_does_not_start_again_is_an_error_and_its_old_content_is_put_back() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let volume = engine.volume("data", &[]);
    fs::write(volume.join("file"), "old").unwrap();
    let picky = format!("[ ! -e /data/bad ] || exit 3; touch /data/up; {WAITER}");
    container(&engine, "db", &["--volume", "data:/data"], &picky);
    wait_for("it is up", || volume.join("up").exists());
    fs::write(volume.join("bad"), "").unwrap();
    configure(&larder, "volume = \"data\"\n");
    good(run(&engine, &larder));
    // It ends as soon as it is started.
    configure(&larder, "volume = \"data\"\nwhile_running = \"stop\"\n");
    let failed = run(&engine, &larder);
    assert_eq!((failed.code, failed.json()["sources"][0]["snapshot"].is_string()), (Some(1), true), "{failed:?}");
    assert!(errors(&failed).contains("container db does not run again: it is exited (exit code 3)"), "{failed:?}");
    fs::remove_file(volume.join("bad")).unwrap();
    fs::write(volume.join("file"), "new").unwrap();
    engine.ok(&["start", "db"]);
    // What is put back does not suit it; what was there before does.
    let came = restore_into(&engine, &larder, &[]);
    assert_eq!((came.code, came.json()["put_back"].as_bool()), (Some(1), Some(true)), "{came:?}");
    assert!(came.json()["errors"][0].as_str().unwrap().contains("db does not run again"), "{came:?}");
    assert_eq!((engine.state("db").as_str(), read(volume.join("file")).as_str()), ("running", "new"));
    assert!(!volume.join("bad").exists());
    // It cannot even be started.
    let mounted = engine.path("mounted");
    fs::create_dir(&mounted).unwrap();
    let mount = format!("type=bind,source={},target=/mounted", mounted.display());
    container(&engine, "web", &["--volume", "data:/data", "--mount", &mount], WAITER);
    fs::remove_dir(&mounted).unwrap();
    let failed = run(&engine, &larder);
    assert_eq!((failed.code, engine.state("db").as_str()), (Some(1), "running"), "{failed:?}");
    let said = errors(&failed);
    assert!(
        said.contains("container web does not run again") && said.contains("bind source path does not exist"),
        "{said}"
    );
}

/// What `larder doctor` says is wrong, and how to mend it.
fn doctor(engine: &Engine, larder: &Larder, variables: &[(&str, &str)]) -> (String, String) {
    let mut config = String::new();
    let given = words(larder, &mut config, &["doctor"]);
    let mut command = engine.larder_command(larder, &given);
    let done = Done::of(command.envs(variables.iter().copied()).output().unwrap(), &given);
    let found = done.json()["sources"][0]["troubles"][0].clone();
    assert_eq!((done.code, found.is_null()), (Some(i32::from(!found.is_null())), done.code == Some(0)), "{done:?}");
    (found["what"].as_str().unwrap_or_default().to_owned(), found["hint"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let (engine, larder) = (Engine::start(), Larder::new());
    engine.volume("data", &[]);
    let said = |source: &str, variables: &[(&str, &str)], what: &str, hint: &str| {
        configure(&larder, source);
        let (found, mending) = doctor(&engine, &larder, variables);
        assert!(found.contains(what) && mending.contains(hint), "{source}: {found}; {mending}");
        if !what.is_empty() && variables.is_empty() {
            let failed = run(&engine, &larder);
            assert!(failed.code == Some(1) && errors(&failed).contains(what), "{failed:?}");
        }
    };
    let data = "volume = \"data\"\n";
    said(data, &[], "", "");
    said("volume = \"dat\"\n", &[], "there is no volume dat", "docker volume ls");
    said("label = \"a=b\"\n", &[], "no volume has the label a=b", "docker volume inspect");
    let empty = larder.path("empty");
    fs::create_dir(&empty).unwrap();
    said(data, &[("PATH", empty.to_str().unwrap())], "cannot start docker", "install Docker's command line client");
    let nobody = format!("unix://{}", empty.join("socket").display());
    said(data, &[("DOCKER_HOST", &nobody)], "Cannot connect to the Docker daemon", "check that the Docker engine runs");
    said(
        data,
        &[("DOCKER_HOST", "ssh://root@elsewhere")],
        "the Docker engine is another machine's",
        "run larder as root",
    );
    engine.volume("memory", &["--opt", "type=tmpfs", "--opt", "device=tmpfs"]);
    said("volume = \"memory\"\n", &[], "volume memory is a mount of tmpfs", "with kind directory");
    container(&engine, "brief", &["--rm", "--volume", "data:/data"], WAITER);
    let stop = "volumes = [\"data\"]\nwhile_running = \"stop\"\n";
    said(stop, &[], "container brief is removed when it is stopped (--rm)", "without --rm");
    assert_eq!(engine.state("brief"), "running");
}

/// As with an engine in a virtual machine: it answers, and what it names is not here.
#[test]
fn a_volume_that_is_not_on_this_machine_is_said_to_be_elsewhere() {
    let (engine, larder) = (Engine::start(), Larder::new());
    engine.volume("data", &[]);
    configure(&larder, "volume = \"data\"\n");
    let config = larder.path("larder.toml").display().to_string();
    let script = "mount -t tmpfs none \"$1\" && exec \"$2\" doctor --json --config \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(engine.path("root")).arg(env!("CARGO_BIN_EXE_larder"));
    let like = engine.larder_command(&larder, &[]);
    command.arg(config).env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = Done::of(command.output().unwrap(), &["doctor"]);
    let trouble = done.json()["sources"][0]["troubles"][0].clone();
    assert!(trouble["what"].as_str().unwrap().contains("cannot read volume data at"), "{done:?}");
    assert!(trouble["hint"].as_str().unwrap().contains("use kind directory"), "{done:?}");
}
