//! What long work tells those who watch it.
//!
//! For eyes only: reports are counted elsewhere, and nothing decides by an event.

/// Something that happened while an operation ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A phase begins; `total` units are ahead when that is known.
    Phase {
        /// What is done now, in a word or two.
        name: &'a str,
        /// How many units there are, if known.
        total: Option<Units>,
    },
    /// So much more of the phase is done.
    Advanced(Units),
    /// An entry could not be taken or put as it should; the operation goes on.
    Problem {
        /// The path, as text.
        path: &'a str,
        /// What went wrong.
        message: &'a str,
    },
    /// Something worth a line, which is no fault.
    Note(&'a str),
}

/// Files and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Units {
    /// Number of files (or of objects, where the work is on objects).
    pub files: u64,
    /// Number of bytes.
    pub bytes: u64,
}

/// Hears what happens. Called from several threads; must return quickly.
pub trait Observer: Sync {
    /// One event.
    fn event(&self, event: Event<'_>);
}

/// Hears nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}
