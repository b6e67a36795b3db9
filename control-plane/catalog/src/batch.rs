//! A batch on its way into SQLite. Its rows go to the connection in the thread that brings them: a queue to another one,
//! a copy of each value and an answer for each row would cost as much as SQLite itself.
//!
//! One statement a row: before a statement of several rows SQLite copies every page that it changes to a temporary
//! file, in case that it has to be taken back.
#![expect(unsafe_code, reason = "a connection that sqlx opened is used through its handle")]

use rusqlite::{Connection, Error, Statement, Transaction, TransactionBehavior, params};
use sqlx::sqlite::LockedSqliteHandle;

use crate::entry::{CallColumns, Columns, Entry, RecordingColumns};

// What replay or a restart says of a call that has ended already is older than what is known.
const CALL: &str = "\
    INSERT INTO call (id, call_id, started_ms, ended_ms, state, from_party, to_party, recorded, row) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET call_id = excluded.call_id, \
    started_ms = excluded.started_ms, ended_ms = excluded.ended_ms, state = excluded.state, \
    from_party = excluded.from_party, to_party = excluded.to_party, recorded = excluded.recorded, \
    row = excluded.row WHERE call.state <> 'ended' OR excluded.state = 'ended'";
const RECORDING: &str = "\
    INSERT INTO recording (id, call, call_id, started_ms, from_party, to_party, path, row) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET call = excluded.call, \
    call_id = excluded.call_id, started_ms = excluded.started_ms, from_party = excluded.from_party, \
    to_party = excluded.to_party, path = excluded.path, row = excluded.row";
const PLACES: &str = "INSERT INTO place (call, places) VALUES (?, ?) \
    ON CONFLICT (call) DO UPDATE SET places = excluded.places";
const SUPERSEDED: &str = "DELETE FROM call WHERE id = ? AND state <> 'ended'";
const MEMORY: &str = "INSERT INTO memory (name, value) VALUES (?, ?) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Writes a batch in one transaction. Calls are written before what refers to them.
///
/// # Errors
/// Nothing of it was written.
pub fn write(handle: &mut LockedSqliteHandle<'_>, batch: &[Entry]) -> Result<(), Error> {
    // SAFETY: the handle is open and nobody else's for as long as it is locked; the connection that is made of it does
    // not close it, and does not outlive it.
    let connection = unsafe { Connection::from_handle(handle.as_raw_handle().as_ptr())? };
    // The lock is taken at once: a transaction that turned from reading to writing could not wait for it.
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
    let columns = || batch.iter().map(|Entry(columns)| columns);
    let calls = columns().filter_map(|columns| match columns {
        Columns::Call(call) => Some(&**call),
        _ => None,
    });
    run(&transaction, CALL, calls, write_call)?;
    let recordings = columns().filter_map(|columns| match columns {
        Columns::Recording(recording) => Some(&**recording),
        _ => None,
    });
    run(&transaction, RECORDING, recordings, write_recording)?;
    let places = columns().filter_map(|columns| match columns {
        Columns::Places { call, places } => Some((call, places)),
        _ => None,
    });
    run(&transaction, PLACES, places, |insert, (call, places)| insert.execute((call, places)))?;
    let superseded = columns().filter_map(|columns| match columns {
        Columns::Superseded { call } => Some(call),
        _ => None,
    });
    run(&transaction, SUPERSEDED, superseded, |delete, call| delete.execute((call,)))?;
    let memories = columns().filter_map(|columns| match columns {
        Columns::Memory { name, value } => Some((name, value)),
        _ => None,
    });
    run(&transaction, MEMORY, memories, |insert, (name, value)| insert.execute((name, value)))?;
    transaction.commit()
}

/// Runs a statement for each row; where there are none, it is not even prepared.
fn run<Row>(
    connection: &Connection,
    text: &str,
    rows: impl Iterator<Item = Row>,
    execute: impl Fn(&mut Statement<'_>, Row) -> Result<usize, Error>,
) -> Result<(), Error> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut statement = connection.prepare(text)?;
    rows.try_for_each(|row| execute(&mut statement, row).map(drop))
}

fn write_call(insert: &mut Statement<'_>, call: &CallColumns) -> Result<usize, Error> {
    insert.execute(params![
        call.id,
        call.call_id,
        call.started_at.0,
        call.ended_at.map(|at| at.0),
        call.state,
        call.from,
        call.to,
        call.recorded,
        call.row,
    ])
}

fn write_recording(
    insert: &mut Statement<'_>,
    recording: &RecordingColumns,
) -> Result<usize, Error> {
    insert.execute(params![
        recording.id,
        recording.call,
        recording.call_id,
        recording.started_at.0,
        recording.from,
        recording.to,
        recording.path,
        recording.row,
    ])
}
