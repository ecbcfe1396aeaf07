//! What a build says of a store: to a reader, in verification, and to a writer.

use crate::make::{Files, STORE, disk_of, host_on};
use bulla::chain::body_digest;
use bulla::{
    Error, Finding, Host, Item, LogReader, Options, Query, Reader, RecoveryReport, Snapshot, VerifyOptions, verify,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn look(files: &Files) -> Value {
    let host = host_on(&disk_of(files));
    // Reading and verifying come first: opening for writing may change what is there.
    let (read, verified) = (read(&host, files), verified(&host));
    let digest = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        (path.to_str().unwrap().to_owned(), Value::from(body_digest(bytes).to_string()))
    };
    let files: Map<_, _> = files.iter().map(digest).collect();
    json!({ "files": files, "read": read, "verify": verified, "write": written(&host) })
}

/// What a caller would do about an error.
fn class(error: &Error) -> Value {
    let classes = [
        ("newer", error.is_newer()),
        ("missing", error.is_missing()),
        ("damage", error.is_damage()),
        ("not a store", error.is_not_a_store()),
    ];
    let classes: Vec<_> = classes.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    json!({ "error": if classes.is_empty() { "other".to_owned() } else { classes.join(", ") } })
}

/// Every log that has a directory, and what the store says of its tables.
fn read(host: &Host, files: &Files) -> Value {
    let store = match Reader::open_on(host, STORE) {
        Ok(reader) => {
            let tables: Vec<_> = reader.tables().unwrap().into_iter().map(|table| table.name).collect();
            json!({ "name": reader.name(), "tables": tables, "is_damaged": reader.is_damaged() })
        }
        Err(error) => class(&error),
    };
    let mut dirs: Vec<PathBuf> = files
        .keys()
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .map(|path| path.parent().unwrap().to_owned())
        .collect();
    dirs.dedup();
    let logs: Map<String, Value> = dirs
        .iter()
        .map(|dir| {
            let opened = LogReader::open(host, &Path::new(STORE).join(dir)).and_then(|log| log.snapshot());
            let log = match opened {
                Ok(snapshot) => log(&snapshot),
                Err(error) => class(&error.into()),
            };
            (dir.to_str().unwrap().to_owned(), log)
        })
        .collect();
    json!({ "store": store, "logs": logs })
}

fn log(snapshot: &Snapshot) -> Value {
    let (mut records, mut gaps, mut failed) = (Vec::new(), Vec::new(), Value::Null);
    let mut cursor = snapshot.cursor(&Query { engine: true, gaps: true, ..Query::new() });
    while let Some(item) = cursor.next() {
        match item {
            Ok(Item::Record(record)) => records.push(json!({
                "position": record.position.0,
                "kind": record.kind.0,
                "schema": record.schema.0,
                "time": record.time.0,
                "payload": record.payload().map(text),
            })),
            Ok(Item::Gap(gap)) => gaps.push(json!([gap.positions.start.0, gap.positions.end.0])),
            Err(error) => {
                failed = class(&error.into());
                break;
            }
        }
    }
    let head = snapshot.head_at(snapshot.durable_end()).ok().map(|head| head.to_string());
    json!({
        "floor": snapshot.floor().0,
        "end": snapshot.end().0,
        "durable_end": snapshot.durable_end().0,
        "head": head,
        "records": records,
        "gaps": gaps,
        "failed": failed,
    })
}

/// A payload as text if it is some, and otherwise as hex digits.
fn text(payload: &[u8]) -> String {
    match str::from_utf8(payload) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => payload.iter().fold(String::from("0x"), |hex, byte| format!("{hex}{byte:02x}")),
    }
}

fn verified(host: &Host) -> Value {
    let options = VerifyOptions { host: host.clone(), ..VerifyOptions::default() };
    let report = match verify(STORE, &options, &mut |_| ()) {
        Ok(report) => report,
        Err(error) => return class(&error),
    };
    let place = |finding: &Finding| {
        json!({
            "verdict": finding.verdict.to_string(),
            "position": finding.position.map(|position| position.0),
            "segment": finding.segment,
            "offset": finding.offset,
        })
    };
    let logs: Vec<_> = report
        .logs
        .iter()
        .map(|log| {
            json!({
                "log": log.log,
                "origin": log.origin,
                "verdict": log.verdict().to_string(),
                "size": log.size,
                "root": log.root.map(|root| root.to_string()),
                "segments": log.segments,
                "findings": log.findings.iter().map(place).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "verdict": report.verdict().to_string(), "exit": report.exit_code(), "logs": logs })
}

/// What opening for writing says of the journal and of each table, and what verification says once all is closed again.
fn written(host: &Host) -> Value {
    let store = match Options::new().create(false).host(host.clone()).open(STORE) {
        Ok(store) => store,
        Err(error) => return class(&error),
    };
    let mut logs = Map::new();
    for table in store.tables() {
        if let Err(error) = store.raw_view(&table.name) {
            logs.insert(table.name, class(&error));
        }
    }
    logs.extend(store.recovery().into_iter().map(|(name, report)| (name, recovery(&report))));
    let is_closed = store.close().is_ok();
    let after = verify(STORE, &VerifyOptions { host: host.clone(), ..VerifyOptions::default() }, &mut |_| ());
    let after = after.map_or_else(|error| class(&error), |report| Value::from(report.verdict().to_string()));
    json!({ "logs": logs, "closes": is_closed, "then": after })
}

fn recovery(report: &RecoveryReport) -> Value {
    json!({
        "tail": format!("{:?}", report.tail),
        "cut_from": report.cut_from.map(|position| position.0),
        "quarantined_bytes": report.quarantined_bytes,
        "quarantine": report.quarantine.as_ref().and_then(|path| path.file_name()).and_then(|name| name.to_str()),
        "may_have_been_acknowledged": report.may_have_been_acknowledged,
    })
}
