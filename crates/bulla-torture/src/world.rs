//! Real processes on real file systems.
//!
//! This program starts itself again as a child, which works on a store and says on standard output what was
//! acknowledged; the parent kills it, takes its room away or lets its system calls fail, and then holds the store
//! against what it heard.
//!
//! # Invariants
//!
//! - K1. Only whole lines that arrived count as acknowledged.
//! - K2. No child outlives this program: it is killed when its handle goes, and ends by itself when its input does.
//! - K3. What was mounted is unmounted, and what was written removed, unless a failure names it or this program is killed
//!   itself.

pub(crate) mod check;
pub(crate) mod copy;
pub(crate) mod full;
pub(crate) mod inject;
pub(crate) mod kill;
pub(crate) mod limit;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod oracle;
pub(crate) mod poll;
pub(crate) mod power;
pub(crate) mod process;
pub(crate) mod rows;
pub(crate) mod scenario;
pub(crate) mod torn;

use std::error::Error;
use std::process::ExitCode;

/// What a child is told to be, if this process is one.
pub(crate) fn child(args: &[String]) -> Option<ExitCode> {
    let (first, rest) = args.split_first()?;
    (first == process::CHILD).then(|| {
        // A racer reads its input itself.
        if rest.first().is_none_or(|what| what != lock::RACER) {
            process::end_with_parent();
        }
        match rest.split_first() {
            Some((what, rest)) if what == limit::WORKER => limit::work(rest),
            Some((what, rest)) if what == lock::RACER => lock::race(rest),
            Some((what, rest)) if what == poll::POLLER => poll::poll(rest),
            Some((what, rest)) if what == inject::SCRIPT => inject::script(rest),
            Some((what, rest)) => scenario::live(what, rest),
            None => ExitCode::from(2),
        }
    })
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Says in one line what was being done when an error came.
pub(crate) fn while_doing<E: Error>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {}", chain(&error))
}
