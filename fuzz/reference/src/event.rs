//! "Event rows".

use crate::bytes::Bytes;
use crate::journal::{list, option, text};
use crate::{Read, must};

/// A row of the type `Event`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the text")]
pub struct Event {
    pub actor: String,
    pub action: String,
    pub object: String,
    pub outcome: String,
    pub origin: String,
    pub detail: Option<String>,
    pub extra: Vec<(String, String)>,
}

impl Event {
    /// All of `row`.
    pub fn read(row: &[u8]) -> Read<Self> {
        let mut bytes = Bytes(row);
        let bytes = &mut bytes;
        let event = Self {
            actor: text(bytes)?,
            action: text(bytes)?,
            object: text(bytes)?,
            outcome: text(bytes)?,
            origin: text(bytes)?,
            detail: option(bytes, text)?,
            extra: list(bytes, |bytes| Ok((text(bytes)?, text(bytes)?)))?,
        };
        must(event.extra.windows(2).all(|pair| pair[0].0 < pair[1].0))?;
        bytes.end()?;
        Ok(event)
    }
}
