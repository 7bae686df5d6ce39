//! Runs that are killed while they look at what they stored, forget, prune and check: nothing is lost, and the next run
//! is as if nothing had happened.

use std::fs;

use serde_json::Value;

use super::Shell;
use crate::support::damage_repo::noise;
use crate::support::hold::{Hold, kill_when, packs};

/// A folder and a command that prints JSON, both backed up once.
fn configured(more: &str) -> Shell {
    let shell = Shell::bare();
    shell.types("init --timezone UTC --recovery-file recovery --quiet").sees(0, "", "");
    shell.write("flows.json", &format!("[\"{}\"]", hex::encode(&noise(1, 200_000)[..])));
    fs::create_dir(shell.path("data")).unwrap();
    for (number, name) in [(2, "stays"), (3, "goes")] {
        fs::write(shell.path("data").join(name), &noise(number, 2_000_000)[..]).unwrap();
    }
    let here = shell.folder.path().display().to_string();
    let text = format!(
        "[repository]\npath = \"{here}/repository\"\nkey_file = \"{here}/key\"\n{more}\n\
         [source.files]\nkind = \"directory\"\npaths = [\"{here}/data\"]\n\
         [source.flows]\nkind = \"command\"\ncommand = [\"cat\", \"{here}/flows.json\"]\nfile = \"flows.json\"\n\
         [source.flows.hooks]\nafter = \"echo $LARDER_STATUS >>{here}/after\"\n"
    );
    shell.write("larder.toml", &text);
    shell.types("run --quiet").sees(0, "", "");
    fs::remove_file(shell.path("after")).unwrap();
    shell
}

/// As if prune and check had been done long ago.
fn due_again(shell: &Shell) {
    let mut caches = fs::read_dir(shell.path("cache/larder")).unwrap().map(|entry| entry.unwrap().path());
    let memory = caches.find_map(|cache| Some(cache.join("upkeep.json")).filter(|path| path.exists())).unwrap();
    let mut remembered: Value = serde_json::from_str(&fs::read_to_string(&memory).unwrap()).unwrap();
    (remembered["pruned"], remembered["checked"]) = (0.into(), 0.into());
    fs::write(memory, remembered.to_string()).unwrap();
}

fn ids(shell: &Shell, source: &str) -> Vec<String> {
    let listed = shell.types(&format!("snapshots --json --source {source}")).json();
    listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn objects_of_the_log(shell: &Shell) -> usize {
    let names = fs::read_dir(shell.path("repository/log")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
}

/// All is well, and a run is too. Its report.
fn goes_on(shell: &Shell) -> Value {
    shell.types("check --read-data --quiet").sees(0, "", "");
    let next = shell.types("run --json");
    assert_eq!(next.code, 0, "{}{}", next.stdout, next.stderr);
    shell.types("check --read-data --quiet").sees(0, "", "");
    assert_eq!(shell.types("cat flows@latest:flows.json").stdout, shell.read("flows.json"));
    shell.types("restore files@latest --to back --existing replace --quiet").sees(0, "", "");
    assert!(fs::read(shell.path("back/stays")).unwrap()[..] == noise(2, 2_000_000)[..]);
    next.json()
}

/// Killed by then, the snapshot is there, and nobody has looked at it.
#[test]
fn a_run_killed_while_it_looks_at_what_it_stored() {
    let shell = configured("");
    let first = ids(&shell, "flows");
    // What the command prints is known: nothing but the look at it reads this pack.
    let hold = Hold::new(&packs(&shell.path("repository"))[1..2]);
    kill_when(&mut shell.command("run flows --quiet"), || hold.is_met());
    drop(hold);
    let after = ids(&shell, "flows");
    assert_eq!((after.len(), &after[0]), (2, &first[0]));
    let next = goes_on(&shell);
    assert_eq!(next["sources"][1]["verified"], true, "{next}");
    assert_eq!(ids(&shell, "flows")[..2], after);
    assert_eq!(shell.read("after"), "failed\ndone\n");
}

/// A killed larder is no end of the stream: what reads it must not take the beginning for the whole.
#[test]
fn a_command_that_was_given_a_part_does_not_take_it_for_the_whole() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    let back = format!("echo $$ >{here}/pid; cat >{here}/new && mv {here}/new {here}/flows.json");
    let text = shell.read("larder.toml");
    let text =
        text.replace("file = \"flows.json\"\n", &format!("file = \"flows.json\"\nrestore_command = \"{back}\"\n"));
    shell.write("larder.toml", &text);
    let stored = shell.read("flows.json");
    shell.write("flows.json", "[1]");
    let hold = Hold::new(&packs(&shell.path("repository"))[1..2]);
    let into = "restore flows@latest --into flows --yes --quiet";
    kill_when(&mut shell.command(into), || hold.is_met() && shell.path("new").exists());
    drop(hold);
    let process = format!("/proc/{}/stat", shell.read("pid").trim());
    while fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z")) {}
    assert_eq!(shell.read("flows.json"), "[1]");
    assert_eq!(ids(&shell, "flows.before-restore").len(), 1);
    shell.types(into).sees(0, "", "");
    assert!(shell.read("flows.json") == stored);
}

/// Killed after each thing that the log learns, up to the hook that comes after retention.
#[test]
fn a_run_killed_while_it_forgets() {
    let shell = configured("");
    let here = shell.folder.path().display().to_string();
    let waits = format!("on_success = \"test ! -e {here}/stop || {{ touch {here}/reached; sleep 600; }}\"\n");
    let text = shell.read("larder.toml") + &waits + "[source.flows.retention]\nlast = 1\n";
    shell.write("larder.toml", &text);
    shell.write("stop", "");
    for more in 1.. {
        let before = objects_of_the_log(&shell);
        let reached = || shell.path("reached").exists();
        let mut far = false;
        kill_when(&mut shell.command("run flows --quiet"), || {
            far = reached();
            far || objects_of_the_log(&shell) >= before + more
        });
        shell.types("check --read-data --quiet").sees(0, "", "");
        let left = ids(&shell, "flows").len();
        assert!(if far { left == 1 } else { left >= 1 }, "{left} after {more}");
        if far {
            break;
        }
    }
    fs::remove_file(shell.path("stop")).unwrap();
    let after = ids(&shell, "flows");
    goes_on(&shell);
    let next = ids(&shell, "flows");
    assert!(next.len() == 1 && next != after, "{next:?}");
}

#[test]
fn a_run_killed_while_it_checks() {
    let shell = configured("[check]\ncron = \"0 4 * * *\"\nparts = 1\n");
    due_again(&shell);
    let hold = Hold::new(&packs(&shell.path("repository"))[..1]);
    kill_when(&mut shell.command("run --quiet"), || hold.is_met());
    drop(hold);
    assert_eq!((ids(&shell, "files").len(), ids(&shell, "flows").len()), (2, 2));
    assert_eq!(shell.read("after"), "done\n");
    // What was not done to its end is done again.
    let next = goes_on(&shell);
    assert_eq!((&next["upkeep"][0]["what"], &next["upkeep"][0]["error"]), (&"check".into(), &Value::Null), "{next}");
}

/// While it reads what is to be kept of a pack, and while it deletes.
#[test]
fn a_run_killed_while_it_prunes() {
    let shell = configured("[retention]\nlast = 1\n[prune]\ncron = \"0 3 * * *\"\ngrace = \"0s\"\nmax_unused = 0\n");
    fs::remove_file(shell.path("data/goes")).unwrap();
    let half_used = packs(&shell.path("repository")).remove(0);
    due_again(&shell);
    let hold = Hold::new(std::slice::from_ref(&half_used));
    kill_when(&mut shell.command("run --quiet"), || hold.is_met());
    drop(hold);
    assert_eq!((ids(&shell, "files").len(), half_used.exists()), (1, true));
    shell.types("check --read-data --quiet").sees(0, "", "");
    let mut runs = 0;
    while half_used.exists() {
        runs += 1;
        assert!(runs < 10, "nothing is freed");
        due_again(&shell);
        let mut child = shell.command("run --quiet").spawn().unwrap();
        while half_used.exists() && child.try_wait().unwrap().is_none() {}
        let _may_have_ended = child.kill();
        child.wait().unwrap();
        shell.types("check --read-data --quiet").sees(0, "", "");
    }
    due_again(&shell);
    let next = goes_on(&shell);
    assert_eq!((&next["upkeep"][0]["what"], &next["upkeep"][0]["error"]), (&"prune".into(), &Value::Null), "{next}");
}
