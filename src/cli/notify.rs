//! `larder notify`

use clap::{Args, Subcommand};

use larder::run::notify::{self, Told};
use larder::run::report::Report;

use crate::cli::config::Which;
use crate::cli::output::{Form, Outcome, escaped};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};

/// Try whether those whom larder.toml names would be told
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send everybody, or those named, a message that says that it is a test
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// Names as in [notify.NAME]; default: all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Sends.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let Command::Test(test) = &arguments.command;
    let found = test.which.read()?;
    let known: Vec<&str> = found.config.notify.iter().map(|notify| notify.name.as_str()).collect();
    if let Some(name) = test.names.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = if known.is_empty() { "there is no table [notify.NAME]".to_owned() } else { known.join(", ") };
        return Err(
            Failure::usage(format!("nobody is called {}", escaped(name.as_bytes()))).hint(format!("there are: {hint}"))
        );
    }
    let observer = session.observer();
    let world = found.world(session, observer.as_ref(), None);
    let report = Report { host: world.host.clone(), ..Report::of_a_test(session::now()) };
    let chosen = found.config.notify.iter().filter(|one| test.names.is_empty() || test.names.contains(&one.name));
    let told: Vec<Told> =
        chosen.map(|one| Told { name: one.name.clone(), error: notify::send(one, &report, &world).err() }).collect();
    if session.out.form() == Form::Json {
        session.out.json(&told)?;
    } else if told.is_empty() {
        session.out.note("there is nobody to tell: no table [notify.NAME]");
    } else {
        let width = told.iter().map(|told| told.name.len()).max().unwrap_or(0);
        for Told { name, error } in &told {
            let name = escaped(name.as_bytes());
            session.out.line(format!("{name:width$}  {}", error.as_deref().unwrap_or("told")))?;
        }
    }
    Ok(if told.iter().all(|told| told.error.is_none()) { Exit::Done } else { Exit::Failed })
}
