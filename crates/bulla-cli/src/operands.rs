//! STORE and what follows it on the command line.
//!
//! STORE is an operand, yet `$BULLA_STORE` may stand in for it, so verbs take their operands as a list and the number
//! of them decides: one fewer than the verb has names means that STORE was left out.

use crate::exit::{Exit, Failure};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Names a store for the verbs that are given none.
pub(crate) const STORE_VARIABLE: &str = "BULLA_STORE";

/// The store and the `N` operands of a verb that takes exactly so many.
pub(crate) fn exactly<const N: usize>(
    operands: &[OsString],
    names: [&str; N],
) -> Result<(PathBuf, [String; N]), Failure> {
    let (store, rest) = match operands.split_first() {
        Some((store, rest)) if rest.len() == N => (PathBuf::from(store), rest),
        _ if operands.len() == N => (from_environment(&names.join(" "))?, operands),
        _ => return Err(usage(&names.join(" "))),
    };
    let mut texts = Vec::with_capacity(N);
    for operand in rest {
        texts.push(text(operand)?);
    }
    let texts = texts.try_into().map_err(|_| usage(&names.join(" ")))?;
    Ok((store, texts))
}

/// The store and any number of operands after it. Where `$BULLA_STORE` is set, the first operand is STORE only if
/// `is_store` says so.
pub(crate) fn any(
    operands: &[OsString],
    names: &str,
    is_store: impl FnOnce(&[OsString]) -> bool,
) -> Result<(PathBuf, Vec<OsString>), Failure> {
    let store = variable();
    match (operands.split_first(), store) {
        (Some((first, rest)), None) => Ok((PathBuf::from(first), rest.to_vec())),
        (Some((first, rest)), Some(_)) if is_store(operands) => Ok((PathBuf::from(first), rest.to_vec())),
        (_, Some(store)) => Ok((store, operands.to_vec())),
        (None, None) => Err(usage(names)),
    }
}

/// An operand that must be text, such as a table's name.
pub(crate) fn text(operand: &OsStr) -> Result<String, Failure> {
    let text = operand
        .to_str()
        .ok_or_else(|| Failure::new(Exit::Usage, format!("operand {} is not UTF-8", operand.to_string_lossy())))?;
    Ok(text.to_owned())
}

fn variable() -> Option<PathBuf> {
    std::env::var_os(STORE_VARIABLE).filter(|store| !store.is_empty()).map(PathBuf::from)
}

fn from_environment(names: &str) -> Result<PathBuf, Failure> {
    variable().ok_or_else(|| usage(names))
}

fn usage(names: &str) -> Failure {
    let names = format!("STORE {names}");
    let names = names.trim_end();
    Failure::new(
        Exit::Usage,
        format!("operands must be {names}, where STORE may be left out if ${STORE_VARIABLE} is set; see --help"),
    )
}
