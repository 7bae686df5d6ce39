//! Passwords, key files, and the recovery key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Shell;

fn with_password() -> Shell {
    let mut shell = Shell::bare().set("LARDER_PASSWORD", "first password");
    shell.unset("LARDER_KEY_FILE");
    shell.types("init --recovery-file recovery --quiet").sees(0, "", "");
    shell
}

#[test]
fn a_password_comes_from_the_environment_a_file_or_a_command() {
    let mut shell = with_password();
    shell.types("snapshots").sees(0, "", "no snapshots");
    shell.unset("LARDER_PASSWORD");
    shell.write("password", "first password\n");
    shell.types("snapshots --password-file password").sees(0, "", "no snapshots");
    shell.types("--password-command 'echo first password' snapshots").sees(0, "", "no snapshots");
    shell.types("snapshots --password-command 'exit 3'").sees(1, "", "error: the password command failed: exit *");
    shell.types("snapshots").sees(
        2,
        "",
        "error: no password given, and there is no terminal to ask for one
           hint: set LARDER_PASSWORD, or use --password-file, --password-command or --key-file",
    );
}

#[test]
fn a_wrong_password_or_key_is_exit_12() {
    let shell = with_password().set("LARDER_PASSWORD", "wrong");
    shell.types("snapshots").sees(12, "", "error: wrong password or key\n  hint: *larder recover*");
    let shell = Shell::new();
    shell.write("key", &"f".repeat(64));
    shell.types("snapshots").sees(12, "", "error: wrong password or key\n  hint: *");
}

#[test]
fn two_ways_to_unlock_at_once_are_a_usage_error() {
    let shell = with_password().set("LARDER_KEY_FILE", "key");
    shell.types("snapshots").sees(
        2,
        "",
        "error: LARDER_PASSWORD and LARDER_KEY_FILE cannot be given together
           hint: leave LARDER_KEY_FILE out, or LARDER_PASSWORD",
    );
    // What is typed counts more than what is set.
    shell.types("snapshots --key-file key").sees(12, "", "error: *\n  hint: *");
    shell.types("snapshots --key-file key --password-file p").sees(2, "", "error: --password-file and --key-file *\n*");
}

#[test]
fn something_else_is_no_key_file_and_an_empty_password_none() {
    let shell = Shell::new();
    shell.write("short", "abc");
    shell.types("snapshots --key-file short").sees(2, "", "error: short is no key file\n  hint: *");
    shell.types("snapshots --key-file nowhere").sees(1, "", "error: cannot read the key file nowhere: *\n  hint: *");
    shell.write("empty", "\n");
    shell.types("snapshots --password-file empty").sees(2, "", "error: the password is empty\n  hint: *");
}

#[test]
fn keys_are_added_listed_and_removed() {
    let mut shell = with_password();
    shell.types("key add --key-file made --label unattended").sees(0, "added key slot * (key file)", "");
    assert_eq!(fs::metadata(shell.path("made")).unwrap().permissions().mode() & 0o777, 0o600);
    shell.types("key list").sees(0, "id kind created label\n*\n*", "");
    shell.unset("LARDER_PASSWORD");
    shell.types("snapshots --key-file made").sees(0, "", "no snapshots");
    let shell = shell.set("LARDER_KEY_FILE", "made");
    let listed = shell.types("key list --json").json();
    let slot = |kind: &str| {
        let slots = listed.as_array().unwrap();
        slots.iter().find(|slot| slot["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
    };
    shell.types(&format!("key remove {}", &slot("password")[..8])).sees(0, "removed key slot *", "");
    shell.types(&format!("key remove {}", slot("key file"))).sees(
        1,
        "",
        "error: the last key slot cannot be removed; add another first",
    );
    shell.types("key remove abcdef").sees(1, "", "error: there is no key slot \"abcdef\"\n  hint: larder key list *");
}

#[test]
fn a_changed_password_opens_and_the_old_one_does_not() {
    let shell = with_password().set("LARDER_NEW_PASSWORD", "second password");
    shell.types("key change-password").sees(0, "added key slot * (password)", "note: *\nnote: *");
    shell.types("snapshots").sees(12, "", "error: *\n*");
    let shell = shell.set("LARDER_PASSWORD", "second password");
    shell.types("snapshots").sees(0, "", "no snapshots");
}

#[test]
fn the_recovery_key_opens_a_repository_whose_password_is_lost() {
    let shell = with_password().set("LARDER_PASSWORD", "new password");
    shell.types("snapshots").sees(12, "", "*\n*");
    shell.types("recover --recovery-file recovery").sees(0, "added key slot * (password)", "");
    shell.types("snapshots").sees(0, "", "no snapshots");
    let key = shell.read("recovery").lines().last().unwrap().to_owned();
    let shell = shell.set("LARDER_RECOVERY_KEY", &key);
    shell.types("recover --recovery-key --key-file made").sees(0, "added key slot * (key file)", "");
    let mistyped = key.replace("recovery-1-", "recovery-1-0");
    shell.types(&format!("recover --recovery-key {mistyped}")).sees(
        2,
        "",
        "error: this is no recovery key, or it is mistyped
           hint: it begins with larder-recovery-1- *",
    );
}

#[test]
fn a_recovery_key_of_another_repository_is_the_wrong_key() {
    let (shell, other) = (Shell::new(), Shell::new());
    fs::copy(other.path("recovery"), shell.path("other")).unwrap();
    shell.types("recover --recovery-file other").sees(12, "", "error: wrong password or key\n  hint: *");
}
