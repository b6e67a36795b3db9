//! The catalog from the outside, on real files.

mod calls;

use calls::{at, call, id, recorded};
use earwitness_catalog::{
    After, Catalog, CatalogError, Filter, Order, PAGE_ROWS_MAX, Timestamp, Write,
};
use serde_json::Value;

async fn filled(dir: &std::path::Path, count: u64) -> Catalog {
    let catalog = Catalog::open(dir).await.unwrap();
    let batch: Vec<_> = (0..count)
        .flat_map(|number| {
            if number % 3 == 0 {
                let (call, recording) = recorded(number);
                vec![Write::Call(Box::new(call)), Write::Recording(Box::new(recording))]
            } else {
                vec![Write::Call(Box::new(call(number)))]
            }
        })
        .collect();
    catalog.write(&batch).await.unwrap();
    catalog
}

/// REC-4, OPS: rows are read back as written, by id, by the beginning of an id, and after a restart.
#[tokio::test]
async fn rows_survive() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(dir.path(), 10).await;
    let (call, recording) = recorded(3);
    catalog.close().await;
    let catalog = Catalog::open_existing(dir.path()).await.unwrap();
    assert_eq!(catalog.call(&call.id).await.unwrap(), Some(call));
    assert_eq!(catalog.call("no such call").await.unwrap(), None);
    assert_eq!(catalog.recording(&recording.id).await.unwrap(), recording);
    assert_eq!(catalog.recording(&recording.id[..9]).await.unwrap(), recording);
    let ambiguous = catalog.recording("r").await;
    assert!(matches!(ambiguous, Err(CatalogError::Ambiguous { count: 4, .. })));
    // What would be a pattern in SQL is none here.
    assert!(matches!(catalog.recording("%").await, Err(CatalogError::NoRecording { .. })));
    assert_eq!(catalog.integrity().await.unwrap(), Vec::<String>::new());

    let empty = tempfile::tempdir().unwrap();
    let missing = Catalog::open_existing(empty.path()).await;
    assert!(matches!(missing, Err(CatalogError::Missing { .. })));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

/// OPS-3: the JSON has every key that the outside relies on; unknown is null, never absent; times are RFC 3339
/// in UTC with milliseconds.
#[test]
fn json_is_as_promised() {
    let (mut call, recording) = recorded(1);
    call.ended_at = None;
    let call = serde_json::to_value(&call).unwrap();
    let recording = serde_json::to_value(&recording).unwrap();
    let has = |value: &Value, keys: &str| {
        for key in keys.split(' ') {
            assert!(value.get(key).is_some(), "{key}");
        }
    };
    has(
        &call,
        "id call_id legs from to direction started_at answered_at ended_at state recorded decision recordings",
    );
    has(
        &recording,
        "id call_id tenant from to direction started_at answered_at ended_at duration_ms end_reason path format \
         channels sample_rate codecs packets mos decision sha256 bytes",
    );
    has(&recording["packets"], "received lost duplicate late");
    has(&call["decision"], "recorded rule trace");
    assert_eq!(call["ended_at"], Value::Null);
    assert_eq!(recording["tenant"], Value::Null);
    assert_eq!(call["started_at"], "2023-11-14T22:13:20.010Z");
}

/// S10: a listing of any length comes in pages, each row once, in order of start and id, both ways.
#[tokio::test]
async fn pages_have_each_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(dir.path()).await.unwrap();
    let count = u64::from(PAGE_ROWS_MAX) * 2 + 7;
    let batch: Vec<_> = (0..count)
        .map(|number| {
            let mut row = call(number);
            // Many start at the same moment.
            row.started_at = at(number / 50);
            Write::Call(Box::new(row))
        })
        .collect();
    catalog.write(&batch).await.unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let filter = Filter { order, ..Filter::default() };
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = catalog.find_calls(&filter, after.as_ref(), u32::MAX).await.unwrap();
            assert!(page.len() <= PAGE_ROWS_MAX as usize);
            let Some(last) = page.last() else { break };
            after = Some(After::from(last));
            seen.extend(page.into_iter().map(|row| (row.started_at, row.id)));
        }
        assert_eq!(seen.len() as u64, count);
        if order == Order::NewestFirst {
            seen.reverse();
        }
        assert!(seen.is_sorted());
        seen.dedup();
        assert_eq!(seen.len() as u64, count);
    }
    assert_eq!(catalog.calls(None).await.unwrap().len(), PAGE_ROWS_MAX as usize);
}

/// OPS: each filter names the rows it says, alone and together; hostile text is text.
#[tokio::test]
async fn filters_name_rows() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(dir.path(), 300).await;
    let calls = async |filter: Filter| catalog.find_calls(&filter, None, 1000).await.unwrap().len();
    let all = Filter::default;
    assert_eq!(calls(all()).await, 300);
    assert_eq!(calls(Filter { recorded: Some(true), ..all() }).await, 100);
    assert_eq!(calls(Filter { recorded: Some(false), ..all() }).await, 200);
    assert_eq!(calls(Filter { from: Some(at(290)), ..all() }).await, 10);
    assert_eq!(calls(Filter { until: Some(at(290)), ..all() }).await, 290);
    assert_eq!(calls(Filter { party: Some("sip:42@".to_owned()), ..all() }).await, 3);
    assert_eq!(calls(Filter { party: Some("bob".to_owned()), ..all() }).await, 300);
    assert_eq!(calls(Filter { call_id: Some("7@192.0.2.1".to_owned()), ..all() }).await, 1);
    assert_eq!(calls(Filter { state: Some("ringing".to_owned()), ..all() }).await, 0);
    assert_eq!(calls(Filter { party: Some("' OR 1 --".to_owned()), ..all() }).await, 0);
    let both =
        Filter { recorded: Some(true), from: Some(at(290)), party: Some("9".to_owned()), ..all() };
    assert_eq!(calls(both.clone()).await, 3);
    assert_eq!(catalog.find_recordings(&both, None, 1000).await.unwrap().len(), 3);
    assert_eq!(catalog.find_recordings(&all(), None, 5).await.unwrap().len(), 5);
}

/// S4, the log is the truth: what is written again after a restart takes the former's place; an ended call does
/// not become a running one.
#[tokio::test]
async fn writing_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(dir.path(), 30).await;
    drop(catalog);
    let catalog = filled(dir.path(), 30).await;
    assert_eq!(catalog.calls(None).await.unwrap().len(), 30);
    assert_eq!(catalog.recordings(None).await.unwrap().len(), 10);
    let mut running = call(4);
    running.state = "answered".to_owned();
    catalog.write(&[Write::Call(Box::new(running))]).await.unwrap();
    assert_eq!(catalog.call(&id(4)).await.unwrap().unwrap().state, "ended");
    assert!(catalog.is_finished(&id(4)).await.unwrap());
    assert!(!catalog.is_finished("no such call").await.unwrap());
}

/// A batch is written whole or not at all: calls, recordings and the cursor of the log stand together.
#[tokio::test]
async fn a_batch_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = filled(dir.path(), 1).await;
    let memory = |value: &[u8]| Write::Memory { name: "cursors", value: value.to_vec() };
    catalog.write(&[memory(b"one")]).await.unwrap();
    let (_, orphan) = recorded(99);
    let batch = [
        memory(b"two"),
        Write::Call(Box::new(call(1))),
        // Its call was never written.
        Write::Recording(Box::new(orphan)),
    ];
    assert!(matches!(catalog.write(&batch).await, Err(CatalogError::Write { .. })));
    assert_eq!(catalog.memory("cursors").await.unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(catalog.memory("other").await.unwrap(), None);
    assert_eq!(catalog.calls(None).await.unwrap().len(), 1);
    catalog.write(&batch[..2]).await.unwrap();
    assert_eq!(catalog.memory("cursors").await.unwrap().as_deref(), Some(&b"two"[..]));
}

/// The daemon writes while the command line reads, from processes of their own: neither fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_a_writer_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Catalog::open(dir.path()).await.unwrap();
    let reader = Catalog::open_existing(dir.path()).await.unwrap();
    let other = Catalog::open_existing(dir.path()).await.unwrap();
    let writing = tokio::spawn(async move {
        for batch in 0..50 {
            let rows = (batch * 20..batch * 20 + 20).map(|n| Write::Call(Box::new(call(n))));
            writer.write(&rows.collect::<Vec<_>>()).await.unwrap();
        }
    });
    let remembering = tokio::spawn(async move {
        for round in 0..50u8 {
            let write = Write::Memory { name: "other", value: vec![round] };
            other.write(&[write]).await.unwrap();
        }
    });
    let mut seen = 0;
    while seen < 1000 {
        let count = reader.calls(None).await.unwrap().len();
        assert!(count >= seen && count % 20 == 0, "{count}");
        seen = count;
    }
    writing.await.unwrap();
    remembering.await.unwrap();
    assert_eq!(reader.integrity().await.unwrap(), Vec::<String>::new());
}

/// CALL-6: a new catalog that is filled keeps no second copy of its news, others may read what is written meanwhile, and
/// closed it is as any other.
#[tokio::test]
async fn a_new_catalog_is_filled_and_shared() {
    let dir = tempfile::tempdir().unwrap();
    let files = || {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let rows =
        |from: u64| (from..from + 20).map(|n| Write::Call(Box::new(call(n)))).collect::<Vec<_>>();
    let filling = Catalog::open_to_fill(dir.path()).await.unwrap();
    filling.write(&rows(0)).await.unwrap();
    assert_eq!(files(), [earwitness_catalog::FILE_NAME]);
    let of_nobody = [Write::Places { call: "none".to_owned(), places: Vec::new() }];
    assert!(matches!(filling.write(&of_nobody).await, Err(CatalogError::Write { .. })));
    let reader = Catalog::open_existing(dir.path()).await.unwrap();
    assert_eq!(reader.calls(None).await.unwrap().len(), 20);
    filling.write(&rows(20)).await.unwrap();
    assert_eq!(reader.calls(None).await.unwrap().len(), 40);
    filling.close().await;
    assert_eq!(reader.integrity().await.unwrap(), Vec::<String>::new());
    reader.close().await;
    // It stays one with a write-ahead log, whoever fills it again.
    let again = Catalog::open_to_fill(dir.path()).await.unwrap();
    again.write(&rows(40)).await.unwrap();
    assert!(files().iter().any(|name| name.ends_with("-wal")), "{:?}", files());
    again.close().await;
    assert_eq!(files(), [earwitness_catalog::FILE_NAME]);
}

/// OPS-3: `check` names what breaks a rule of the schema, even where something else wrote the file.
#[tokio::test]
async fn integrity_names_each_breach() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 6).await.close().await;
    let file = dir.path().join(earwitness_catalog::FILE_NAME);
    let foreign = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).foreign_keys(false);
    let pool = sqlx::SqlitePool::connect_with(foreign).await.unwrap();
    for statement in [
        format!("UPDATE recording SET call = 'nobody' WHERE call = '{}'", id(0)),
        format!("UPDATE call SET state = 'ringing' WHERE id = '{}'", id(1)),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let catalog = Catalog::open_existing(dir.path()).await.unwrap();
    let mut lines = catalog.integrity().await.unwrap();
    lines.sort();
    let mut expected = vec![
        format!("recording r{} has no call", id(0)),
        format!("call {} is recorded, but has no recording", id(0)),
        format!("recording r{} has columns that differ from its row", id(0)),
        format!("call {} has columns that differ from its row", id(1)),
    ];
    expected.sort();
    assert_eq!(lines, expected);
}

/// A catalog of a later version is refused, not damaged.
#[tokio::test]
async fn a_later_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1).await.close().await;
    let file = dir.path().join(earwitness_catalog::FILE_NAME);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    assert!(matches!(Catalog::open(dir.path()).await, Err(CatalogError::Migrate { .. })));
}

/// Times before 1970 and far ahead survive; what is no time is refused.
#[test]
fn odd_times() {
    for ms in [-1, 0, 1, 253_402_300_799_999] {
        let text = Timestamp(ms).to_string();
        assert_eq!(Timestamp::parse(&text), Some(Timestamp(ms)), "{text}");
    }
    assert_eq!(Timestamp::parse("yesterday"), None);
}
