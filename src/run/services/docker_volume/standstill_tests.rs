use std::fs;

use super::*;
use crate::run::services::docker_volume::engine::tests::fake;

/// Tells of two containers, writes down what it is asked to do, and hangs if it is to stop the second.
const SCRIPT: &str = r#"here=$(dirname "$0")
case "$1" in
inspect)
    one() { echo "{\"Name\": \"/$1\", \"State\": {\"Status\": \"running\", \"ExitCode\": 0}, \"Config\": {\"StopTimeout\": 0}, \"HostConfig\": {\"AutoRemove\": false}, \"Mounts\": []}"; }
    echo "[$(one web), $(one db)]" ;;
stop) echo "$*" >>"$here/done"; [ "$2" != db ] || sleep 600 ;;
*) echo "$*" >>"$here/done" ;;
esac"#;

#[test]
fn a_container_that_cannot_be_stopped_in_time_is_said_and_all_are_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake(folder.path(), SCRIPT);
    let engine = Engine { program: program.to_str().unwrap(), limit: Duration::from_secs(2) };
    let containers = engine.inspect(&["web", "db"]).unwrap();
    let error = Standstill::begin(engine, &containers, How::Stopped).err().unwrap();
    assert!(
        error.starts_with("container db: docker stop: ") && error.contains("took longer than 2 seconds"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(folder.path().join("done")).unwrap(), "stop web\nstop db\nstart db web\n");
}
