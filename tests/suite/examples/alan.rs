//! `examples/alan`: volumes of a Docker engine, a RabbitMQ in one of its containers, and a PostgreSQL.
//!
//! Loki and Grafana cannot be had in the tests: containers that write to their volumes stand for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::data::{Database, content_of, empty, live_a_day_in};
use super::{Site, Stage, Variables, names};
use crate::services::postgres;
use crate::services::rabbitmq::{self, Node};
use crate::support::docker::{BOX, Engine};

/// The image for programs of this machine.
const MACHINE: &str = "larder/machine";
/// Writes all the time, and ends as soon as it is asked to.
const WRITER: &str = "trap 'exit 0' TERM; while :; do echo more >>/data/live; sleep 0.05; done";

/// The containers that are no broker, and their volumes.
const WRITERS: [(&str, &str); 2] = [("grafana", "alan_grafana_data"), ("loki", "alan_loki_data")];
const BROKER: (&str, &str) = ("rabbitmq", "alan_rabbitmq_data");

pub struct Alan {
    // Before the node, whose port mapper its broker needs.
    engine: Engine,
    node: Node,
    database: Database,
    broker: Broker,
}

/// Where RabbitMQ runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broker {
    InTheContainer,
    /// Outside, and a container that writes has its volume.
    Beside,
}

/// A container that writes into a volume.
fn write(engine: &Engine, (container, volume): (&str, &str)) {
    engine.volume(volume, &[]);
    let mount = format!("{volume}:/data");
    let run = ["run", "--detach", "--name", container, "--network", "none", "--volume", &mount];
    engine.ok(&[&run[..], &[BOX, "sh", "-c", WRITER]].concat());
}

impl Alan {
    /// With a broker that need not be started again and again.
    pub fn with_the_broker_beside(engine: Engine) -> Self {
        let node = Node::start();
        WRITERS.into_iter().chain([BROKER]).for_each(|service| write(&engine, service));
        node.fill();
        Self { engine, node, database: Database::new("alan"), broker: Broker::Beside }
    }

    fn start() -> Self {
        let (engine, node) = (Engine::start(), Node::prepared());
        WRITERS.iter().for_each(|service| write(&engine, *service));
        engine.import_shell_of_this_machine(MACHINE);
        engine.volume(BROKER.1, &[]);
        let (here, data) = (node.path("").display().to_string(), node.path("data").display().to_string());
        let (folder, volume) = (format!("{here}:{here}"), format!("{}:{data}", BROKER.1));
        let run =
            ["run", "--detach", "--name", BROKER.0, "--network", "host", "--volume", &folder, "--volume", &volume];
        let programs = ["--volume", "/usr:/usr:ro", "--volume", "/etc/alternatives:/etc/alternatives:ro"];
        engine.ok(&[&run[..], &programs, &[MACHINE, node.path("serve").to_str().unwrap()]].concat());
        node.is_up();
        node.fill();
        Self { engine, node, database: Database::new("alan"), broker: Broker::InTheContainer }
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.engine.mountpoint(name)
    }

    fn lose_definitions(&self) {
        self.node.delete("vhosts/shop%2Feu");
        self.node.delete("users/app");
    }
}

impl Stage for Alan {
    const NAME: &'static str = "alan";
    const BREAKS: &'static str = "postgres";

    fn variables(&self, here: &Path) -> Variables {
        let at = |name: &str| here.join(name).display().to_string();
        vec![
            ("ALAN_BACKUPS", at("larder")),
            ("ALAN_PASSWORD_FILE", at("password")),
            ("ALAN_STATUS", at("status")),
            ("DOCKER_HOST", self.engine.host()),
            ("RABBITMQ_URL", self.node.url()),
            ("RABBITMQ_USER", "root".to_owned()),
            ("RABBITMQ_PASS", rabbitmq::PASSWORD.to_owned()),
            ("POSTGRES_HOST", self.database.server.host()),
            ("POSTGRES_USER", "app".to_owned()),
            ("POSTGRES_PASSWORD", postgres::PASSWORD.to_owned()),
            // Nobody carries letters here.
            ("SMTP_HOST", "127.0.0.1".to_owned()),
            ("SMTP_PORT", "9".to_owned()),
            ("SMTP_PASSWORD", "unused".to_owned()),
        ]
    }

    fn live_a_day(&self, day: u32) {
        WRITERS.iter().for_each(|(_, volume)| live_a_day_in(&self.volume(volume), day));
        self.database.live_a_day(day);
        if self.broker == Broker::Beside {
            live_a_day_in(&self.volume(BROKER.1), day);
        }
        self.node.publish(&format!("order of day {day}"));
        self.node.put(&format!("queues/shop%2Feu/day-{day}"), &json!({"durable": true}));
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        self.node.is_up();
        let mut content: BTreeMap<_, _> =
            WRITERS.into_iter().map(|(name, volume)| (name, content_of(&self.volume(volume)))).collect();
        content.insert("postgres", self.database.content());
        content.insert("definitions", self.node.has().to_string());
        let messages = match self.broker {
            Broker::InTheContainer => self.node.messages().join("\n"),
            Broker::Beside => content_of(&self.volume(BROKER.1)),
        };
        content.insert("rabbitmq", messages);
        content
    }

    fn destroy(&self) {
        WRITERS.iter().for_each(|(_, volume)| empty(&self.volume(volume)));
        self.database.destroy();
        match self.broker {
            Broker::InTheContainer => drop(self.engine.ok(&["kill", BROKER.0])),
            Broker::Beside => self.lose_definitions(),
        }
        empty(&self.volume(BROKER.1));
    }

    fn break_one(&self) {
        self.database.goes_away();
    }

    fn mend_it(&self) {
        self.database.comes_back();
    }
}

#[test]
fn volumes_come_back_with_their_containers_and_a_broker_with_its_messages() {
    let site = Site::new(Alan::start());
    let stage = &site.stage;
    stage.live_a_day(1);
    site.ok(&["doctor"]);
    let report = site.run(&[]);
    assert_eq!(names(&report), ["definitions", "grafana", "loki", "postgres", "rabbitmq"]);
    assert!(site.read("status/backup_report.json").contains("\"rabbitmq\""));
    stage.node.is_up();
    // One of them only, and nobody else is stopped.
    let broker = stage.engine.started(BROKER.0);
    assert_eq!(names(&site.run(&["grafana"])), ["grafana"]);
    let content = stage.content();

    stage.destroy();
    for source in ["grafana", "loki", "postgres", "rabbitmq"] {
        site.puts_back(source);
    }
    assert_eq!(stage.engine.state(BROKER.0), "exited", "what did not run is not started");
    stage.engine.ok(&["start", BROKER.0]);
    assert!(stage.engine.started(BROKER.0) != broker);
    assert_eq!(stage.content(), content);
    for (container, _) in WRITERS {
        assert_eq!(stage.engine.state(container), "running");
    }
    // The definitions alone are enough for a new broker.
    let definitions = &content["definitions"];
    stage.lose_definitions();
    site.puts_back("definitions");
    assert_eq!(stage.node.has().to_string(), *definitions);
}
