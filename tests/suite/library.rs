//! larder without its binary, as a program calls it that offers backups to others: a REST interface, say.
//!
//! Promise: what is called here is all that such a program needs (the table in ARCHITECTURE.md names it).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::chunking::Sizes;
use larder::config::sources::Source;
use larder::config::variables::Variables;
use larder::config::{self, Config};
use larder::crypto::slot::Stretch;
use larder::format::Time;
use larder::format::listing::Owner;
use larder::format::objects::WeekStart;
use larder::id::SnapshotId;
use larder::ops::check::{self, Depth, Part};
use larder::ops::forget::{self, What};
use larder::ops::prune;
use larder::ops::restore::{self, Existing, Extra, Mode, Owners, Verify};
use larder::ops::select::{self, Forgotten, Selected};
use larder::ops::snapshots::{self, Filter, Row};
use larder::ops::{stats, tag};
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::open::{self, NewRepository};
use larder::run::into::{self, Safety};
use larder::run::report::{Report, Status};
use larder::run::{self, Request, World};
use larder::storage::local::Local;

use crate::support::damage_repo::noise;

const TEXT: &str = "
[repository]
path = '${HERE}/repository'
key_file = '${HERE}/key'
[retention]
last = 5
[source.app]
kind = 'sqlite'
path = '${HERE}/app.db'
[source.files]
kind = 'directory'
paths = ['${HERE}/files']
";

/// A program that has a configuration, and opens what it says.
struct Program {
    folder: tempfile::TempDir,
    config: Config,
    variables: Variables,
    repo: Repository,
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time { seconds: i64::try_from(since.as_secs()).unwrap(), nanos: since.subsec_nanos() }
}

/// Opens the repository, as every program does that was started after it was made.
fn opened(config: &Config, variables: &Variables) -> Repository {
    let credential = config.repository.unlock.as_ref().unwrap().credential(variables).unwrap();
    open::open(Arc::new(Local::open(&config.repository.path).unwrap()), &credential, None).unwrap().0
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), "00112233445566778899aabbccddeeff".repeat(2)).unwrap();
        let variables: Variables = [("HERE".to_owned(), folder.path().display().to_string())].into_iter().collect();
        let config = config::read(TEXT, &variables).unwrap();
        let storage = Local::create(&config.repository.path).unwrap();
        let new = NewRepository {
            time_zone: "Europe/Berlin".to_owned(),
            week_start: config.week_start.unwrap_or(WeekStart::Monday),
            sizes: Sizes::DEFAULT,
            credential: &config.repository.unlock.as_ref().unwrap().credential(&variables).unwrap(),
            stretch: Stretch::None,
            now: now(),
        };
        open::create(&storage, &new).unwrap();
        let repo = opened(&config, &variables);
        Self { folder, config, variables, repo }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn world(&self) -> World<'_> {
        World {
            now: &now,
            variables: &self.variables,
            host: "server".to_owned(),
            owner: Owner { uid: 0, gid: 0, user: b"root"[..].into(), group: b"root"[..].into() },
            threads: 2,
            booted: None,
            memory: None,
            configuration: "program".to_owned(),
            own: vec![self.config.repository.path.clone()],
            skip: Vec::new(),
            observer: &Silent,
        }
    }

    fn source(&self, name: &str) -> &Source {
        run::chosen(&self.config, &[name.to_owned()]).unwrap()[0]
    }

    /// Create, with a description.
    fn creates(&self, source: &str, description: &str) -> Report {
        let request = Request { description: description.to_owned(), ..Request::default() };
        run::run(&self.repo, &self.config, &[self.source(source)], &request, &self.world()).unwrap()
    }

    /// List.
    fn rows(&self, source: &str) -> Vec<Row> {
        let filter = Filter { source: Some(source.to_owned()), ..Filter::default() };
        let listing = snapshots::list(&self.repo, &filter, Duration::ZERO).unwrap();
        assert!(listing.unreadable.is_empty());
        listing.rows
    }

    fn selected(&self, text: &str) -> Result<Selected, select::Error> {
        select::snapshot(&self.repo, text, Forgotten::Refuse)
    }

    /// Delete.
    fn deletes(&self, id: SnapshotId) -> Result<forget::Plan, forget::Error> {
        forget::apply(&self.repo, &What::Ids(vec![id]), now())
    }

    /// Clean up.
    fn cleans_up(&self) -> prune::Report {
        let options = prune::Options {
            grace: Duration::ZERO,
            max_unused_percent: prune::Options::MAX_UNUSED_PERCENT,
            threads: 2,
        };
        prune::run(&self.repo, &options, &now, &Silent).unwrap()
    }

    /// Restore, of a path into a folder.
    fn restores(&self, selected: &Selected, path: &str, into: &str) -> restore::report::Report {
        let options = restore::Options {
            existing: Existing::Refuse,
            extra: Extra::Leave,
            owners: Owners::Ignore,
            verify: Verify::Everything,
            mode: Mode::Write,
            include: Vec::new(),
            exclude: Vec::new(),
            threads: 2,
        };
        restore::run(&self.repo, &selected.record.root, path.as_bytes(), &self.path(into), &options, &Silent).unwrap()
    }
}

/// What was created is listed, said to be so large, and comes back by parts, all of them as they were.
#[test]
fn a_program_creates_lists_describes_and_restores() {
    let program = Program::new();
    fs::create_dir_all(program.path("files/docs")).unwrap();
    fs::write(program.path("files/docs/one"), "one").unwrap();
    fs::write(program.path("files/large"), noise(1, 2_000_000)).unwrap();
    let report = program.creates("files", "before the update");
    let made = &report.sources[0];
    assert_eq!((report.status, made.files, made.errors.len()), (Status::Done, 2, 0), "{report:?}");
    fs::write(program.path("files/docs/one"), "ONE").unwrap();
    program.creates("files", "after it");

    let rows = program.rows("files");
    let said: Vec<&str> = rows.iter().map(|row| row.record.description.as_str()).collect();
    assert_eq!(said, ["before the update", "after it"]);
    assert_eq!(Some(rows[0].id.to_string()), made.snapshot);
    assert!(program.rows("app").is_empty());

    let first = program.selected(&rows[0].id.to_string()).unwrap();
    let info = stats::snapshot(&program.repo, first.snapshot.id, &first.record).unwrap();
    assert_eq!((info.files, info.raw_bytes), (2, 2_000_003));
    // The large file is in the other one, too.
    assert!(info.unique_raw_bytes >= 3 && info.unique_raw_bytes < 100_000, "{info:?}");
    let whole = stats::repository(&program.repo).unwrap();
    assert_eq!((whole.snapshots, whole.files, whole.raw_bytes), (2, 4, 4_000_006));
    assert!(whole.deduplicated_bytes >= 2_000_006 && whole.deduplicated_bytes < 2_100_000, "{whole:?}");

    let report = program.restores(&first, "docs", "back");
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!(fs::read_to_string(program.path("back/one")).unwrap(), "one");
    assert!(!program.path("back/large").exists());
    program.restores(&program.selected("files@latest").unwrap(), "", "whole");
    assert_eq!(fs::read_to_string(program.path("whole/docs/one")).unwrap(), "ONE");
    assert!(fs::read(program.path("whole/large")).unwrap()[..] == noise(1, 2_000_000)[..]);
}

/// Back into the service, with a plan to show beforehand, and what was there before as a snapshot.
#[test]
fn a_program_restores_into_a_service() {
    let program = Program::new();
    let database = rusqlite::Connection::open(program.path("app.db")).unwrap();
    database.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)").unwrap();
    let sum = || database.query_row("SELECT sum(n) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    program.creates("app", "good");
    database.execute_batch("UPDATE t SET n = 50").unwrap();
    let (app, good) = (program.source("app"), program.selected("app@latest").unwrap());
    let plan = into::plan(&program.repo, app, &good.record, Safety::Take, &program.world()).unwrap();
    assert!(plan[0].contains("stored first, as app.before-restore") && plan[1].contains("in one step"), "{plan:?}");
    assert_eq!(sum(), 100);
    let came = into::put_back(&program.repo, app, &good.record, Safety::Take, &program.world()).unwrap();
    assert_eq!((came.errors.as_slice(), came.put_back, sum()), (&[][..], None, 3));
    let before = program.selected(&came.safety.unwrap().to_string()).unwrap();
    assert_eq!(before.record.source, into::safety_series("app"));
    let again = into::put_back(&program.repo, app, &before.record, Safety::Skip, &program.world()).unwrap();
    assert_eq!((again.errors.len(), again.safety, sum()), (0, None, 100));
    // What does not fit is refused with words, and changes nothing.
    fs::create_dir(program.path("files")).unwrap();
    program.creates("files", "");
    let other = program.selected("files@latest").unwrap();
    let refused = into::plan(&program.repo, app, &other.record, Safety::Take, &program.world()).unwrap_err();
    assert!(refused.contains("the snapshot is of files; of app there is app@latest"), "{refused}");
}

/// What is deleted can be had back until it is cleaned up, others of it not. Another program sees it once it looks.
#[test]
fn a_program_deletes_and_cleans_up() {
    let program = Program::new();
    fs::create_dir(program.path("files")).unwrap();
    fs::write(program.path("files/large"), noise(2, 3_000_000)).unwrap();
    program.creates("files", "large");
    let other = opened(&program.config, &program.variables);
    fs::write(program.path("files/large"), "small now").unwrap();
    program.creates("files", "small");
    let ids: Vec<SnapshotId> = program.rows("files").iter().map(|row| row.id).collect();
    let seen = |repo: &Repository| snapshots::list(repo, &Filter::default(), Duration::ZERO).unwrap().rows.len();
    assert_eq!(seen(&other), 1);
    other.refresh().unwrap();
    assert_eq!(seen(&other), 2);

    let stays = program.deletes(ids[1]).unwrap_err();
    assert!(matches!(stays, forget::Error::AlwaysStays(_)), "{stays}");
    assert_eq!(program.deletes(ids[0]).unwrap().forgotten().collect::<Vec<_>>(), ids[..1]);
    assert!(matches!(program.selected(&ids[0].to_string()), Err(select::Error::Forgotten { .. })));
    assert_eq!(program.rows("files").iter().map(|row| row.id).collect::<Vec<_>>(), ids[1..]);
    let back = tag::run(&program.repo, ids[0], &["kept".to_owned()], &[], now()).unwrap();
    assert!(back.brought_back && program.rows("files").len() == 2);
    tag::run(&program.repo, ids[0], &[], &["kept".to_owned()], now()).unwrap();

    let before = stats::repository(&program.repo).unwrap();
    let cleaned = program.cleans_up();
    let after = stats::repository(&program.repo).unwrap();
    assert!(cleaned.deleted.bytes > 2_900_000, "{cleaned:?}");
    assert!(before.stored_bytes > 3_000_000 && after.stored_bytes < 100_000, "{before:?} {after:?}");
    program.restores(&program.selected("files@latest").unwrap(), "", "out");
    assert_eq!(fs::read_to_string(program.path("out/large")).unwrap(), "small now");
    let checked = check::run(&program.repo, Depth::Data(Part::All), 2, &Silent).unwrap();
    assert_eq!(checked.problems_total, 0, "{checked:?}");
}
