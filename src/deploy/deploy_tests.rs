use super::*;
use crate::config;
use crate::config::variables::Variables;

const HEAD: &str = "[repository]\npath = \"/r\"\n[source.a]\nkind = \"directory\"\npaths = [\"/a\"]\n";

fn timers(more: &str) -> Vec<String> {
    let config = config::read(&(HEAD.to_owned() + more), &Variables::default()).unwrap();
    let setup = Setup {
        config: &config,
        file: Path::new("/larder.toml"),
        program: Path::new("/larder"),
        variables: None,
        host: "here",
        user: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let made = systemd::make(&setup, Runs::WhenDue).unwrap();
    made.files.into_iter().skip(1).map(|file| file.name).collect()
}

#[test]
fn what_is_due_at_the_same_moments_has_one_timer() {
    let b = "[source.b]\nkind = \"directory\"\npaths = [\"/b\"]\n";
    let daily = "[schedule]\ncron = \"@daily\"\n";
    assert_eq!(timers(&format!("{daily}{b}")), ["larder@a.timer"]);
    assert_eq!(timers(&format!("{daily}{b}[source.b.schedule]\ncron = \"0 0 * * *\"\n")), ["larder@a.timer"]);
    let other = "[source.b.schedule]\ncron = \"@hourly\"\n";
    assert_eq!(timers(&format!("{daily}{b}{other}")), ["larder@a.timer", "larder@b.timer"]);
    assert_eq!(timers(&format!("{daily}{b}{other}enabled = false\n")), ["larder@a.timer"]);
    assert_eq!(timers(&format!("{daily}{b}enabled = false\n{other}")), ["larder@a.timer"]);
    // What is tried again is looked for.
    let retried = "[source.b.schedule]\nretry = \"1h\"\n";
    assert_eq!(timers(&format!("{daily}{b}{retried}")), ["larder@a.timer", "larder@look.timer"]);
}

#[test]
fn names_of_timers_are_good_for_files_and_differ() {
    let named = |name: &str, cron: &str| {
        format!(
            "[source.\"{name}\"]\nkind = \"directory\"\npaths = [\"/b\"]\n[source.\"{name}\".schedule]\ncron = \"{cron}\"\n"
        )
    };
    let more = [named("look", "1 * * * *"), named("x y", "2 * * * *"), named("x/y", "3 * * * *")].concat();
    let prune = "[prune]\ncron = \"4 * * * *\"\n[drill]\ncron = \"5 * * * *\"\n";
    assert_eq!(
        timers(&(more + prune)),
        ["larder@look-2.timer", "larder@x-y.timer", "larder@x-y-2.timer", "larder@prune.timer", "larder@drill.timer"]
    );
}

#[derive(Clone, Copy, Default)]
struct Given<'g> {
    user: Option<&'g str>,
    variables: Option<&'g str>,
}

const DAILY: &str = "[schedule]\ncron = \"@daily\"\n";

fn service(more: &str, given: Given<'_>) -> Result<String, Error> {
    made(more, given, |setup| systemd::make(setup, Runs::WhenDue))
}

/// The text of the first file.
fn made(more: &str, given: Given<'_>, making: impl FnOnce(&Setup<'_>) -> Result<Made, Error>) -> Result<String, Error> {
    let config = config::read(&format!("{HEAD}{DAILY}{more}"), &Variables::default()).unwrap();
    let setup = Setup {
        config: &config,
        file: Path::new("/larder.toml"),
        program: Path::new("/larder"),
        variables: given.variables.map(Path::new),
        host: "here",
        user: given.user,
        now: Timestamp::UNIX_EPOCH,
    };
    Ok(making(&setup)?.files.remove(0).text)
}

#[test]
fn what_starts_elsewhere_needs_full_paths_and_the_key_is_named() {
    for (more, said) in [
        ("[status]\ndirectory = \"reports\"\n", "[status] directory is reports, which is no full path"),
        ("[source.b]\nkind = \"sqlite\"\npath = \"b.db\"\n", "[source.b] path is b.db, which is no full path"),
    ] {
        for made in [
            made(more, Given::default(), |setup| cron::make(setup, None, None)),
            made(more, Given::default(), |setup| compose::make(setup, "larder")),
            service(more, Given::default()),
        ] {
            assert_eq!(made.unwrap_err().to_string(), said);
        }
    }
}

#[test]
fn cron_stops_when_the_variables_cannot_be_read() {
    let text =
        made("", Given { variables: Some("/my env"), ..Given::default() }, |setup| cron::make(setup, None, None))
            .unwrap();
    assert!(text.contains("set -ae; . '/my env'; exec /larder run"), "{text}");
}

#[test]
fn a_shared_tmp_can_be_written() {
    let private = service("", Given::default()).unwrap();
    assert!(private.contains("\nPrivateTmp=yes\n") && !private.contains("-/tmp"), "{private}");
    for path in ["/tmp/x.db", "/var/tmp/y/x.db"] {
        let source = format!("[source.b]\nkind = \"sqlite\"\npath = \"{path}\"\n");
        let shared = service(&source, Given::default()).unwrap();
        assert!(shared.contains("\nReadWritePaths=-/tmp -/var/tmp\n"), "{shared}");
        assert!(!shared.contains("\nPrivateTmp=yes"), "{shared}");
    }
}

#[test]
fn nothing_given_adds_or_swallows_lines() {
    for user in ["a\nExecStartPre=/evil", "", "a b", "a%h", "a\\", "a:b"] {
        assert!(
            matches!(service("", Given { user: Some(user), ..Given::default() }), Err(Error::Unwritable(_))),
            "{user:?}"
        );
    }
    assert!(
        service("", Given { user: Some("my.back-up_2"), ..Given::default() })
            .unwrap()
            .contains("\nUser=my.back-up_2\n")
    );
    for variables in ["/a\nb", "/a\\"] {
        let given = Given { variables: Some(variables), ..Given::default() };
        assert!(matches!(service("", given), Err(Error::Unwritable(_))), "{variables:?}");
    }
    assert_eq!(line("a\nb\\"), "a?b?");
}

#[test]
fn root_may_look_at_what_other_users_processes_are() {
    let root = service("", Given::default()).unwrap();
    assert!(root.lines().any(|line| line.starts_with("CapabilityBoundingSet=") && line.contains(" CAP_SYS_PTRACE")));
    assert!(!service("", Given { user: Some("backup"), ..Given::default() }).unwrap().contains("PTRACE"));
}

#[test]
fn compose_warns_of_hosts_that_are_the_container_itself() {
    let sources = "[source.near]\nkind = \"postgres\"\nhost = \"127.0.0.1\"\npassword_file = \"/run/secrets/app\"\n\
        [source.unsaid]\nkind = \"redis\"\n[source.far]\nkind = \"postgres\"\nhost = \"db\"\n";
    let text = made(sources, Given::default(), |setup| compose::make(setup, "larder")).unwrap();
    for (source, host) in [("near", "127.0.0.1"), ("unsaid", "localhost")] {
        assert!(text.contains(&format!("# Note: source {source}: {host} is the container itself")), "{text}");
    }
    assert!(!text.contains("source far: "), "{text}");
    assert!(text.contains("user 65532:65532 must be able to read them.\nsecrets:\n"), "{text}");
    assert!(
        made("", Given { user: Some("0:0\n"), ..Given::default() }, |setup| compose::make(setup, "larder")).is_err()
    );
}

#[cfg(feature = "services")]
#[test]
fn hosts_are_found_in_addresses() {
    for (url, warned) in [
        ("http://localhost:6333", true),
        ("http://[::1]:6333/x", true),
        ("http://localhost.example.org", false),
        ("http://qdrant:6333/localhost", false),
    ] {
        let source = format!("[source.q]\nkind = \"qdrant\"\nurl = \"{url}\"\n");
        let text = made(&source, Given::default(), |setup| compose::make(setup, "larder")).unwrap();
        assert_eq!(text.contains("is the container itself"), warned, "{url}\n{text}");
    }
}
