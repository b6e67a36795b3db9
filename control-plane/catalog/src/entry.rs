//! What is written into the catalog: rows as they are made, and ready for their tables.

use serde::Serialize;

use crate::error::CatalogError;
use crate::{CallRow, RecordingRow, Timestamp};

/// One thing to write. A batch is written whole or not at all, in its order.
#[derive(Debug, Clone)]
pub enum Write {
    /// Takes the place of the row with the same id.
    Call(Box<CallRow>),
    /// Its file and sidecars are durable (S4), its call was written before.
    Recording(Box<RecordingRow>),
    /// Where the packets of a call lie in the log; the call was written before.
    Places { call: String, places: Vec<u8> },
    /// The call is in the catalog under another id: its row goes, if it is still open.
    Superseded { call: String },
    /// What the control plane must remember, by name.
    Memory { name: &'static str, value: Vec<u8> },
}

/// The same as its table has it: what waits to be written is one text, not the many small pieces of a row.
#[derive(Debug)]
pub struct Entry(pub(crate) Columns);

#[derive(Debug)]
pub(crate) enum Columns {
    Call(Box<CallColumns>),
    Recording(Box<RecordingColumns>),
    Places { call: String, places: Vec<u8> },
    Superseded { call: String },
    Memory { name: &'static str, value: Vec<u8> },
}

#[derive(Debug)]
pub(crate) struct CallColumns {
    pub(crate) id: String,
    pub(crate) call_id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) state: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) recorded: bool,
    /// The whole row.
    pub(crate) row: String,
}

#[derive(Debug)]
pub(crate) struct RecordingColumns {
    pub(crate) id: String,
    pub(crate) call: String,
    pub(crate) call_id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) path: String,
    /// The whole row.
    pub(crate) row: String,
}

impl TryFrom<Write> for Entry {
    type Error = CatalogError;

    /// # Errors
    /// A row says something that cannot be written.
    fn try_from(write: Write) -> Result<Self, CatalogError> {
        Ok(Self(match write {
            Write::Call(row) => {
                let text = text(&row.id, &*row)?;
                let CallRow {
                    id, call_id, started_at, ended_at, state, from, to, recorded, ..
                } = *row;
                let columns = CallColumns {
                    id,
                    call_id,
                    started_at,
                    ended_at,
                    state,
                    from,
                    to,
                    recorded,
                    row: text,
                };
                Columns::Call(Box::new(columns))
            }
            Write::Recording(row) => {
                let text = text(&row.id, &*row)?;
                let RecordingRow { id, call, call_id, started_at, from, to, path, .. } = *row;
                let columns =
                    RecordingColumns { id, call, call_id, started_at, from, to, path, row: text };
                Columns::Recording(Box::new(columns))
            }
            Write::Places { call, places } => Columns::Places { call, places },
            Write::Superseded { call } => Columns::Superseded { call },
            Write::Memory { name, value } => Columns::Memory { name, value },
        }))
    }
}

/// Bytes of most rows: a text that grew would be copied each time.
const USUAL_BYTES: usize = 2048;

fn text(id: &str, row: &impl Serialize) -> Result<String, CatalogError> {
    let mut text = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut text, row)
        .map_err(|source| CatalogError::Row { id: id.to_owned(), source })?;
    Ok(String::from_utf8(text).expect("JSON is UTF-8"))
}
