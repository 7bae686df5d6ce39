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
