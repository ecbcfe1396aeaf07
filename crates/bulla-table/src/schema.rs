//! Which shape a table's rows have, and how older shapes become today's.

use crate::{Codec, CodecError, TableError};
use bulla_wire::{Position, SchemaId};
use std::fmt;
use std::sync::Arc;

/// Makes today's row of the bytes of an older one. Gets the schema the row was written under, which is never the one the
/// table writes now; [`CodecError::UnknownSchema`] says that it does not know it.
pub type Upgrade<T> = fn(SchemaId, &[u8]) -> Result<T, CodecError>;

/// The schema a table writes, and how rows of other schemas are read.
///
/// Every row is stored with the id of the schema it was written under, for ever. Change the type and give the new shape
/// a new id; the rows before it are then read through the upgrade. Which number stands for which shape is the program's
/// to remember: a number must never be used again for another shape. The default is schema 1 without an upgrade.
///
/// # Examples
///
/// ```
/// use bulla_table::{Codec, CodecError, Postcard, Schema, SchemaId};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct LoginV1 { user: String }
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Login { user: String, successful: bool }
///
/// fn upgrade(schema: SchemaId, bytes: &[u8]) -> Result<Login, CodecError> {
///     match schema {
///         SchemaId(1) => {
///             let LoginV1 { user } = Postcard::decode(bytes)?;
///             Ok(Login { user, successful: true }) // Version 1 wrote down nothing else.
///         }
///         _ => Err(CodecError::UnknownSchema),
///     }
/// }
///
/// let schema = Schema::<Login>::new(SchemaId(2)).upgrade(upgrade);
/// assert_eq!(schema.id(), SchemaId(2));
/// # let mut bytes = Vec::new();
/// # Postcard::encode(&LoginV1 { user: "ada".into() }, &mut bytes)?;
/// # assert_eq!(upgrade(SchemaId(1), &bytes)?, Login { user: "ada".into(), successful: true });
/// # Ok::<(), CodecError>(())
/// ```
#[must_use = "a schema does nothing until a table is opened with it"]
pub struct Schema<T> {
    id: SchemaId,
    upgrade: Option<Upgrade<T>>,
}

impl<T> Schema<T> {
    /// Rows are written under `id`, and rows of any other schema are refused.
    pub fn new(id: SchemaId) -> Self {
        Self { id, upgrade: None }
    }

    /// Rows of any other schema are read through `upgrade`.
    pub fn upgrade(mut self, upgrade: Upgrade<T>) -> Self {
        self.upgrade = Some(upgrade);
        self
    }

    /// What rows are written under.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// Reads a row that was written under schema `found`.
    pub(crate) fn decode<C: Codec<T>>(
        &self,
        table: &Arc<str>,
        position: Position,
        found: SchemaId,
        bytes: &[u8],
    ) -> Result<T, TableError> {
        let row = match self.upgrade {
            _ if found == self.id => C::decode(bytes),
            Some(upgrade) => upgrade(found, bytes),
            None => Err(CodecError::UnknownSchema),
        };
        row.map_err(|error| match error {
            CodecError::UnknownSchema => {
                TableError::UnknownSchema { table: Arc::clone(table), position, found, expected: self.id }
            }
            source => TableError::Decode { table: Arc::clone(table), position, schema: found, source },
        })
    }
}

impl<T> Default for Schema<T> {
    fn default() -> Self {
        Self::new(SchemaId(1))
    }
}

// Derived, these two would demand the same of `T`, of which a schema holds none.
impl<T> Clone for Schema<T> {
    fn clone(&self) -> Self {
        Self { id: self.id, upgrade: self.upgrade }
    }
}

impl<T> fmt::Debug for Schema<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("id", &self.id).field("has_upgrade", &self.upgrade.is_some()).finish()
    }
}
