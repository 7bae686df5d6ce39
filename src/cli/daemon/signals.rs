//! What a daemon is asked by signals.
//!
//! Promise: between runs TERM and INT end it in good order; in the middle of a run they end it at once, as they end
//! `larder run`: commands under way are ended, and what is bound to run does, whether or not anybody reads the last words. HUP waits for the end of a run.

use std::io;
use std::process;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::low_level::{emulate_default_handler, signal_name};

use larder::run::daemon::Wake;

/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What was asked so far.
#[derive(Clone)]
pub struct Signals(Arc<(Mutex<State>, Condvar)>);

/// What is said before a run is cut off.
type LastWords = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct State {
    running: bool,
    end: bool,
    reload: bool,
}

/// As long as there is one, a run is under way.
pub struct Running(Signals);

impl Signals {
    /// From now on signals are heard. `last_words` is called before a run is cut off.
    pub fn hear(last_words: impl Fn(&str) + Send + Sync + 'static) -> io::Result<Self> {
        let mut incoming = Incoming::new([SIGTERM, SIGINT, SIGHUP])?;
        let signals = Self(Arc::default());
        let heard = signals.clone();
        let last_words: LastWords = Arc::new(last_words);
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in incoming.forever() {
                heard.take(signal, &last_words);
            }
        })?;
        Ok(signals)
    }

    fn take(&self, signal: i32, last_words: &LastWords) {
        let mut state = self.state();
        match signal {
            SIGHUP => state.reload = true,
            _ if state.running => {
                say(last_words.clone(), signal_name(signal).unwrap_or("a signal"));
                let _ends_here = emulate_default_handler(signal);
                process::exit(128 + signal);
            }
            _ => state.end = true,
        }
        drop(state);
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a signal, but no longer than this.
    pub fn wait(&self, at_most: Duration) -> Wake {
        let nothing = |state: &mut State| !state.end && !state.reload;
        let (mut state, _) =
            self.0.1.wait_timeout_while(self.state(), at_most, nothing).unwrap_or_else(PoisonError::into_inner);
        if state.end {
            Wake::End
        } else if std::mem::take(&mut state.reload) {
            Wake::Reload
        } else {
            Wake::Time
        }
    }

    /// A run begins, unless it is to end.
    pub fn begin(&self) -> Option<Running> {
        let mut state = self.state();
        state.running = !state.end;
        state.running.then(|| Running(self.clone()))
    }
}

/// Says them, but waits no longer than a moment: nobody may read what is said.
fn say(last_words: LastWords, signal: &'static str) {
    let (tell, told) = channel();
    let speak = move || {
        last_words(signal);
        let _too_late = tell.send(());
    };
    let _nothing_is_said = thread::Builder::new().name("last words".into()).spawn(speak);
    let _nobody_reads = told.recv_timeout(LAST_WORDS);
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().running = false;
    }
}
