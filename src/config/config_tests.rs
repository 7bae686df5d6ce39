use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::sources::Kind;
use crate::config::sources::docker_volume::{Which, WhileRunning};
use crate::ops::verify::Form;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read_with(text: &str, pairs: &[(&str, &str)]) -> Config {
    read(text, &variables(pairs)).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// What is said of a configuration with mistakes in it.
fn said(text: &str, pairs: &[(&str, &str)]) -> String {
    read(text, &variables(pairs)).unwrap_err().to_string()
}

const LEAST: &str = "[repository]\npath = \"/r\"\n[source.files]\nkind = \"directory\"\npaths = [\"/srv\"]\n";

#[test]
fn the_example_has_no_mistake_and_means_what_it_says() {
    let config = read_with(EXAMPLE, &[]);
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["app", "cache", "files", "flows", "settings", "shop", "volumes"]);
    let policy = config.retention.unwrap();
    assert_eq!((policy.last, policy.daily, policy.weekly, policy.monthly, policy.yearly), (0, 7, 4, 12, 0));
    assert_eq!(config.hooks.limit, Duration::from_secs(300));
    let named = |name: &str| config.sources.iter().find(|source| source.name == name).unwrap();
    assert_eq!(named("settings").min_bytes, 4096);
    let Kind::Command(command) = &named("flows").kind else { panic!() };
    assert_eq!((command.file.as_str(), command.form), ("workflows.json", Form::Json));
    let Some(Unlock::Password(SecretFrom::File(path))) = config.repository.unlock else { panic!() };
    assert_eq!(path, PathBuf::from("/run/secrets/larder"));
    assert!(config.sources.iter().all(|source| source.timetable == config.timetable));
}

#[cfg(feature = "services")]
#[test]
fn what_the_example_leaves_out_has_no_mistake_either() {
    let (before, after) = EXAMPLE.split_once("# More kinds of sources").unwrap();
    let lines = after.lines().skip(1).map(|line| line.strip_prefix("# ").unwrap_or(line));
    let config = read_with(&(before.to_owned() + &lines.collect::<Vec<_>>().join("\n")), &[]);
    assert!(config.sources.len() > 4);
}

#[test]
fn volumes_are_named_or_have_a_label() {
    let volumes = |keys: &str| format!("{LEAST}[source.data]\nkind = \"docker_volume\"\n{keys}\n");
    let which = |keys: &str| match &read_with(&volumes(keys), &[]).sources[0].kind {
        Kind::DockerVolume(volumes) => (volumes.which.clone(), volumes.while_running),
        other => panic!("{other:?}"),
    };
    let named = |names: &[&str]| Which::Named(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(which("volume = \"data\""), (named(&["data"]), WhileRunning::Leave));
    assert_eq!(
        which("volumes = [\"a1\", \"b2\"]\nwhile_running = \"stop\""),
        (named(&["a1", "b2"]), WhileRunning::Stop)
    );
    assert_eq!(which("label = \"a=b\"").0, Which::Labelled("a=b".to_owned()));
    for (keys, mistake) in [
        ("", "source.data.volume: is missing: give volume, volumes or label"),
        ("volume = \"data\"\nlabel = \"a\"", "source.data.volume: is one too many"),
        ("volume = \"--all\"", "source.data.volume: \"--all\" cannot be the name of a volume"),
        ("volumes = [\"../etc\"]", "source.data.volumes: \"../etc\" cannot be"),
        ("volumes = []", "source.data.volumes: names no volume"),
        ("label = \"\"", "source.data.label: must be"),
        ("volume = \"data\"\nwhile_running = \"halt\"", "\"halt\" is none of leave, pause, stop"),
    ] {
        let said = said(&volumes(keys), &[]);
        assert!(said.contains(mistake) && said.lines().count() == 1, "{keys}: {said}");
    }
}

#[test]
fn the_shortest_one_keeps_everything_and_is_never_due() {
    let config = read_with(LEAST, &[]);
    assert!(config.retention.is_none() && config.timetable.is_none() && config.repository.unlock.is_none());
    assert!(config.sources[0].enabled && config.sources[0].retention.is_none());
}

#[test]
fn every_mistake_is_said_with_its_place() {
    let text = r#"[repository]
path = 7
pasword_file = "/p"
[schedule]
cron = "0 25 * * *"
[retention]
daily = -1
[source.files]
kind = "directory"
paths = ["srv", 3]
[source.db]
kind = "postgre"
[source.flows]
kind = "command"
command = ["n8n"]
[sources.x]
"#;
    let expected = [
        "2:8: repository.path: must be a text in quotes, not of type integer",
        "3:1: repository.pasword_file: is no key larder knows here; did you mean password_file?",
        "5:8: schedule.cron: \"25\" is no hour",
        "7:9: retention.daily: \"-1\" is no whole number",
        "10:17: source.files.paths: must hold texts, and has one of type integer",
        "12:8: source.db.kind: \"postgre\" is none of command, directory, *; did you mean postgres?",
        "13:1: source.flows.file: is missing",
        "16:2: sources: is no key larder knows here; did you mean source?",
    ];
    let said = said(text, &[]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        // `*` stands for the other kinds.
        let (beginning, end) = expected.split_once('*').unwrap_or((expected, ""));
        assert!(line.starts_with(beginning) && line.contains(end), "{line}\n  instead of\n{expected}");
    }
}

/// One mistake hides no other, and makes none of what is right: whatever a source lacks, its other keys are looked at.
#[cfg(feature = "services")]
#[test]
fn what_is_missing_hides_no_other_mistake() {
    let sources = [
        "kind = 'command'\ncommand = 'a'\nfile = 'f'\nform = 'any'\nrestore_command = 'b'",
        "kind = 'directory'\npaths = ['/a']\nexclude = ['b']\nexclude_caches = true\none_file_system = true",
        "kind = 'docker_volume'\nvolume = 'data'\nexclude = ['b']\nwhile_running = 'stop'",
        "kind = 'http'\nurl = 'http://a'\nfile = 'f'\nmethod = 'POST'\nheaders = { a = 'b' }\nbody = 'b'\nca_file = '/c'\n\
         expect_status = 201\nrestore_url = 'http://b'\nrestore_method = 'PUT'\nrestore_content_type = 'a/b'",
        "kind = 'mariadb'\nhost = 'a'\nuser = 'b'\npassword_env = 'P'\ndatabase = 'd'\nusers = true",
        "kind = 'n8n'\nprogram = '/n8n'\nuser_folder = '/f'\nencryption_key_env = 'K'",
        "kind = 'postgres'\nhost = 'a'\nuser = 'b'\npassword_env = 'P'\ndatabase = 'd'\nglobals = true",
        "kind = 'qdrant'\nurl = 'http://a'\napi_key_env = 'K'\ncollections = ['c']\nca_file = '/c'",
        "kind = 'rabbitmq'\nurl = 'http://a'\nuser = 'b'\npassword_env = 'P'\nvhost = 'v'\nca_file = '/c'",
        "kind = 'redis'\nhost = 'a'\nport = 1\nuser = 'b'\npassword_env = 'P'\ndata_file = '/d'",
        "kind = 's3'\nbucket = 'b'\nendpoint = 'http://a'\naccess_key_env = 'A'\nsecret_key_env = 'S'\nprefix = 'p/'\npath_style = true",
        "kind = 'sqlite'\npath = '/a'",
    ];
    for keys in sources {
        let (kind, keys) = keys.split_once('\n').unwrap();
        let whole = |keys: &str| {
            let source =
                format!("[source.x]\n{kind}\nmin_bytes = 5\n{keys}\n[source.x.hooks]\nstop = 'a'\nstart = 'b'\n");
            let read = read(&format!("[repository]\npath = '/r'\n{source}"), &Variables::default());
            read.err().map_or(String::new(), |mistakes| mistakes.to_string())
        };
        assert_eq!(whole(keys), "", "{kind}");
        for left_out in keys.lines() {
            let rest: Vec<&str> = keys.lines().filter(|key| *key != left_out).collect();
            let known = whole(&rest.join("\n"));
            assert!(!known.contains("no key larder knows"), "{kind} without {left_out}: {known}");
            let said = whole(&(rest.join("\n") + "\npathes = 1"));
            assert!(said.contains("source.x.pathes: is no key larder knows here"), "{kind} without {left_out}: {said}");
        }
    }
}

#[test]
fn broken_toml_has_a_place_too() {
    assert!(said("[repository\npath = 1", &[]).starts_with("1:"), "{}", said("[repository\npath = 1", &[]));
    assert!(said("a = 1\na = 2", &[]).starts_with("2:1: "), "{}", said("a = 1\na = 2", &[]));
    assert_eq!(said("", &[]).lines().count(), 2);
}

#[test]
fn variables_are_put_into_texts_and_take_the_place_of_keys() {
    let text = LEAST.replace("/srv", "${BASE:-/home}/${NAME}/$$x");
    let config =
        read_with(&text, &[("NAME", "n"), ("LARDER__RETENTION__DAILY", "30"), ("LARDER__REPOSITORY__PATH", "/q")]);
    let Kind::Directory(directory) = &config.sources[0].kind else { panic!() };
    assert_eq!(directory.paths, [PathBuf::from("/home/n/$x")]);
    assert_eq!((config.repository.path, config.retention.unwrap().daily), (PathBuf::from("/q"), 30));
    let config =
        read_with(LEAST, &[("LARDER__SOURCE__FILES__PATHS", "/a, /b"), ("LARDER__SOURCE__FILES__ENABLED", "false")]);
    let Kind::Directory(directory) = &config.sources[0].kind else { panic!() };
    assert_eq!(directory.paths, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert!(!config.sources[0].enabled);
    assert!(said(&text, &[]).contains("source.files.paths: the variable NAME is not set"));
    let typo = said(LEAST, &[("LARDER__RETENTION__DAYLY", "3")]);
    assert!(typo.contains("LARDER__RETENTION__DAYLY") && typo.contains("LARDER__RETENTION__DAILY?"), "{typo}");
}

#[test]
fn a_source_overrides_what_holds_for_all() {
    let text = format!(
        "{LEAST}[source.files.retention]\ndaily = 2\n[source.files.schedule]\ncron = \"0 5 * * *\"\n\
         [retention]\ndaily = 7\nweekly = 4\n[schedule]\ncron = \"0 2 * * *\"\ntimezone = \"Asia/Tokyo\"\n"
    );
    let config = read_with(&text, &[]);
    let policy = config.sources[0].retention.as_ref().unwrap();
    assert_eq!((policy.daily, policy.weekly), (2, 4));
    let timetable = config.sources[0].timetable.as_ref().unwrap();
    assert_eq!(timetable.cron, "0 5 * * *".parse().unwrap());
    assert_eq!(timetable.zone, "Asia/Tokyo".parse().unwrap());
}

#[test]
fn a_most_number_alone_keeps_all_until_there_are_more() {
    let policy = read_with(&format!("{LEAST}[retention]\nmax_count = 5\n"), &[]).retention.unwrap();
    assert_eq!((policy.last, policy.daily, policy.max_count), (u32::MAX, 0, Some(5)));
}

#[test]
fn a_secret_has_one_place_and_is_fetched_without_its_line_end() {
    let twice = LEAST.replace("path = \"/r\"", "path = \"/r\"\npassword_env = \"A\"\npassword_file = \"/b\"");
    assert!(said(&twice, &[]).contains("one too many"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hidden\r\n").unwrap();
    let none = Variables::default();
    assert_eq!(*SecretFrom::File(file).fetch(&none).unwrap(), "hidden");
    assert_eq!(*SecretFrom::Command("echo hidden".into()).fetch(&none).unwrap(), "hidden");
    assert_eq!(*SecretFrom::Variable("A".into()).fetch(&variables(&[("A", "x")])).unwrap(), "x");
    for from in [
        SecretFrom::File(folder.path().join("none")),
        SecretFrom::Command("echo hidden; exit 3".into()),
        SecretFrom::Command("true".into()),
        SecretFrom::Variable("A".into()),
    ] {
        let error = from.fetch(&none).unwrap_err();
        assert!(!error.contains("hidden"), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(\\[[a-z.]{0,8}\\]|[a-z_]{1,8} = (1|\"\\$\\{?[A-Z]{0,3}\\}?\"|\\[[\"a,]{0,5}\\]|\\{[a-z=1]{0,4}\\})|\\PC{0,9}|\n){0,12}") {
        let _ = read(&text, &Variables::default());
    }
}

#[test]
fn prune_and_check_have_schedules_of_their_own_by_the_general_clock() {
    let more = "[schedule]\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\njitter = \"5min\"\n\
                [prune]\ncron = \"0 3 * * *\"\ngrace = \"1d\"\nmax_unused = 10\n[check]\ncron = \"0 4 * * *\"\n";
    let config = read(&format!("{LEAST}{more}"), &Variables::default()).unwrap();
    let (prune, check) = (config.upkeep.prune.unwrap(), config.upkeep.check.unwrap());
    assert_eq!((prune.grace.as_secs(), prune.max_unused_percent, check.parts), (86_400, Some(10), 30));
    assert_eq!(prune.timetable.zone, config.timetable.as_ref().unwrap().zone);
    assert_eq!(config.sources[0].timetable.as_ref().unwrap().jitter.as_secs(), 300);
    assert_eq!(check.timetable.jitter.as_secs(), 0);
    let retried = more.replace("jitter = \"5min\"", "retry = \"15min\"");
    let config = read(&format!("{LEAST}{retried}"), &Variables::default()).unwrap();
    let retry = |timetable: &Timetable| timetable.retry.map(|retry| retry.as_secs());
    assert_eq!(config.sources[0].timetable.as_ref().and_then(retry), Some(900));
    assert_eq!(retry(&config.upkeep.prune.unwrap().timetable), None);
    let mistakes = said(&format!("{LEAST}[schedule]\ncron = \"@daily\"\nretry = \"59s\"\n"), &[]);
    assert!(mistakes.contains("schedule.retry: must be a minute at least"), "{mistakes}");
    let mistakes = said(&format!("{LEAST}[prune]\ncron = \"@daily\"\nretry = \"1h\"\n"), &[]);
    assert!(mistakes.contains("prune.retry: "), "{mistakes}");
    let mistakes = said(&format!("{LEAST}[prune]\nmax_unused = 101\n[check]\ncron = \"0 4 * * *\"\nparts = 0\n"), &[]);
    for expected in ["prune.cron: is missing", "prune.max_unused: is a share", "check.parts: \"0\""] {
        assert!(mistakes.contains(expected), "{mistakes}");
    }
}

/// Its folders were missing from the snapshot.
#[cfg(feature = "services")]
#[test]
fn what_one_stream_is_stored_as_is_no_path() {
    for keys in ["kind = \"command\"\ncommand = \"true\"", "kind = \"http\"\nurl = \"http://localhost/\""] {
        for file in ["a/b.sql", "..", "."] {
            let mistakes = said(&format!("{LEAST}[source.s]\n{keys}\nfile = \"{file}\"\n"), &[]);
            assert!(mistakes.contains(&format!("source.s.file: \"{file}\" is a path")), "{mistakes}");
        }
    }
}

#[test]
fn a_server_is_in_one_place_and_its_own_databases_are_left_alone() {
    let of = |kind: &str, keys: &str| said(&format!("{LEAST}[source.s]\nkind = \"{kind}\"\n{keys}\n"), &[]);
    for kind in ["mariadb", "redis"] {
        let place = of(kind, "socket = \"/s\"\nport = 1");
        assert!(place.contains("8:10: source.s.socket: is one too many: give socket, or host and port"), "{place}");
    }
    for kind in ["mariadb", "postgres"] {
        let both = of(kind, "database = \"a\"\ndatabases = [\"b\"]");
        assert!(both.contains("source.s.databases: is one too many: give database or databases"), "{both}");
        let named = of(kind, "database = \"a/b\"");
        assert!(named.contains("source.s.databases: \"a/b\" cannot be the name of a database here"), "{named}");
    }
    let own = of("mariadb", "databases = [\"shop\", \"mysql\"]");
    assert!(own.contains("8:13: source.s.databases: \"mysql\" is the server's own"), "{own}");
    let short = of("redis", "data_file = \"dump.rdb\"");
    assert!(short.contains("8:13: source.s.data_file: must be the full path of a file"), "{short}");
    let hooks = "data_file = \"/data/dump.rdb\"\n[source.s.hooks]\nstop = \"x\"";
    assert!(of("redis", hooks).contains("8:13: source.s.data_file: needs the hooks stop and start"));
    let text = format!("{LEAST}[source.s]\nkind = \"redis\"\n{hooks}\n");
    read_with(&text, &[("LARDER__SOURCE__S__HOOKS__START", "y")]);
}

#[cfg(feature = "services")]
#[test]
fn who_is_written_to_has_a_server_and_a_password_stays_where_it_is_safe() {
    use crate::config::notify::Way;
    use crate::mail::Encryption;

    let table = |keys: &str| format!("{LEAST}[notify.admin]\nkind = \"email\"\n{keys}\n");
    let least = "host = \"mail.example.org\"\nfrom = \"larder <a@example.org>\"\nto = [\"b@example.org\"]\n";
    let email = |keys: &str| match read_with(&table(&format!("{least}{keys}")), &[]).notify.remove(0).way {
        Way::Email(email) => email,
        other @ Way::Http(_) => panic!("{other:?}"),
    };
    for (keys, encryption, port) in [
        ("", Encryption::Starttls, 587),
        ("encryption = \"smtps\"", Encryption::Smtps, 465),
        ("encryption = \"none\"", Encryption::None, 25),
        ("port = 2525", Encryption::Starttls, 2525),
    ] {
        let read = email(keys);
        assert_eq!((read.encryption, read.port), (encryption, port), "{keys}");
    }
    let login = "user = \"a\"\npassword_env = \"P\"\nencryption = \"none\"";
    for (keys, mistake) in [
        ("host = \"h:25\"", "notify.admin.host: \"h:25\" is no name of a machine"),
        ("host = \"bücher\"", "notify.admin.host: \"bücher\" is no name"),
        ("encryption = \"tls\"", "\"tls\" is none of none, smtps, starttls"),
        ("port = 70000", "notify.admin.port: is above 65535"),
        ("to = \"b@example.org\"", "notify.admin.to: must be a list of texts"),
        ("to = []", "notify.admin.to: names nobody"),
        ("to = [\"b\"]", "notify.admin.to: \"b\" is no address of e-mail"),
        ("from = \"a@b\\r\\nBcc: c@d\"", "notify.admin.from: "),
        ("user = \"a\"", "notify.admin.user: has no password"),
        ("password_env = \"P\"", "notify.admin.user: is missing"),
        ("password = \"p\"", "notify.admin.password: is no key larder knows here"),
        ("url = \"http://x\"", "notify.admin.url: is no key larder knows here"),
        ("limit = \"0s\"", "notify.admin.limit: must be at least 1s"),
        (login, "notify.admin.encryption: a password goes unencrypted to this machine alone"),
    ] {
        let key = keys.split(' ').next().unwrap();
        let others: String =
            least.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let said = said(&table(&format!("{others}{keys}")), &[]);
        assert!(said.contains(mistake) && said.lines().count() == 1, "{keys}: {said}");
    }
    for host in ["localhost", "127.0.0.1", "::1"] {
        let keys = least.replace("mail.example.org", host);
        read_with(&table(&format!("{keys}{login}")), &[]);
    }
    let nothing = said(&table(""), &[]);
    assert!(
        ["host", "from", "to"].iter().all(|key| nothing.contains(&format!("notify.admin.{key}: is missing"))),
        "{nothing}"
    );
    let kind = said(&format!("{LEAST}[notify.admin]\nkind = \"mail\"\nhost = \"h\"\n"), &[]);
    assert!(kind.contains("\"mail\" is none of discord, email,") && kind.lines().count() == 1, "{kind}");
}

#[test]
fn status_says_where_files_go_and_how_old_snapshots_may_be() {
    let day = Duration::from_secs(24 * 60 * 60);
    let config = read_with(
        &format!(
            "{LEAST}max_age = \"2d\"\n[source.app]\nkind = \"directory\"\npaths = [\"/a\"]\n[status]\ndirectory = \"/s\"\nmax_age = \"1d\"\n"
        ),
        &[],
    );
    assert_eq!(config.status.metrics, Some(PathBuf::from("/s/larder.prom")));
    assert_eq!(config.sources.iter().map(|source| source.max_age).collect::<Vec<_>>(), [Some(day), Some(2 * day)]);
    let none = read_with(LEAST, &[]);
    assert_eq!((none.status, none.sources[0].max_age), (status::Status::default(), None));
    let said = said(&format!("{LEAST}[status]\nmetrics = \"/s/larder.txt\"\nmax_age = \"0s\"\n"), &[]);
    assert!(said.contains("does not end in .prom") && said.contains("no snapshot is as new as that"), "{said}");
}

#[test]
fn levels_of_compression_go_from_1_to_19() {
    let with = |level: &str| LEAST.replace("path = \"/r\"\n", &format!("path = \"/r\"\ncompression_level = {level}\n"));
    assert_eq!(read_with(LEAST, &[]).repository.level, Level::DEFAULT);
    assert_eq!(read_with(&with("19"), &[]).repository.level, Level::MAX);
    for level in ["0", "20", "\"fast\"", "-1"] {
        assert!(said(&with(level), &[]).contains("compression_level"), "{level}");
    }
}

#[test]
fn what_the_place_needs_is_gathered() {
    let text = LEAST.replace("/srv", "${PLACE:-/srv}")
        + "[hooks]\nafter = \"echo $${NO} ${SET} ${UNSET:-x}\"\n"
        + "[source.db]\nkind = \"postgres\"\npassword_env = \"SECRET\"\n"
        + "[source.mq]\nkind = \"redis\"\npassword_file = \"/run/secrets/${SET}\"\n";
    let set = [("SET", "x"), ("NO", "y"), ("LARDER__SOURCE__FILES__ENABLED", "false")];
    let needs = read_with(&text, &set).needs;
    let names: Vec<&str> = needs.variables.iter().map(String::as_str).collect();
    assert_eq!(names, ["LARDER__SOURCE__FILES__ENABLED", "SECRET", "SET"]);
    assert_eq!(needs.files.into_iter().collect::<Vec<_>>(), [PathBuf::from("/run/secrets/x")]);
}
