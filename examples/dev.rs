use larder::*;
use std::path::*;
use std::sync::Arc;
fn now() -> format::Time {
    let d = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format::Time { seconds: d.as_secs() as i64, nanos: d.subsec_nanos() }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let root = Path::new(&a[2]);
    let cred = repo::slots::Credential::KeyFile(crypto::secret::Secret::new([7; 32]));
    if a[1] == "init" {
        let s = storage::local::Local::create(root).unwrap();
        repo::open::create(
            &s,
            &repo::open::NewRepository {
                time_zone: "UTC".into(),
                week_start: format::objects::WeekStart::Monday,
                sizes: chunking::Sizes::DEFAULT,
                credential: &cred,
                stretch: crypto::slot::Stretch::None,
                now: now(),
            },
        )
        .unwrap();
        return;
    }
    let s = Arc::new(storage::local::Local::open(root).unwrap());
    let t = std::time::Instant::now();
    let (r, _) = repo::open::open(s, &cred, Some(Path::new("/bench/work/cache"))).unwrap();
    eprintln!("open {:?}", t.elapsed());
    let options = ops::backup::Options {
        source: "s".into(),
        host: "h".into(),
        user: "u".into(),
        description: "".into(),
        tags: vec![],
        paths: vec![],
        mode: ops::backup::Mode::Store,
        threads: 2,
    };
    let src: Box<dyn source::Source> = if a[3] == "-" {
        Box::new(
            source::stream::StreamSource::new(b"dump.sql", Default::default(), now(), Box::new(std::io::stdin()))
                .unwrap(),
        )
    } else {
        Box::new(source::directory::DirectorySource::new(vec![PathBuf::from(&a[3])], Default::default()).unwrap())
    };
    let rep = ops::backup::run(&r, src.as_ref(), &options, &now, &progress::Silent).unwrap();
    eprintln!("{:?} {:?} unchanged {} problems {}", t.elapsed(), rep.counts, rep.unchanged_files, rep.problems_total);
}
