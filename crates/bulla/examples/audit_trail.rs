//! An audit trail without a type of one's own, and the check that nobody rewrote it: `cargo run --example audit_trail`.

use bulla::{Error, Event, Options, Store, VerifyOptions};

fn main() -> Result<(), Error> {
    let dir = std::env::temp_dir().join("bulla-audit-trail");
    let store = Options::new().name("shop").open(&dir)?;
    let head = record(&store)?;
    println!("keep this head elsewhere: {head}");

    let report = store.verify(&VerifyOptions::default(), &mut |_| {})?;
    for log in &report.logs {
        println!("{}: {:?}, {} records", log.log, log.verdict(), log.records_checked);
    }
    store.close()
}

/// Appends what happened as one batch, whole or not at all, and gives the trail's head.
fn record(store: &Store) -> Result<bulla::TreeHead, Error> {
    let trail = store.table::<Event>("trail")?;
    trail.append_batch(&[
        Event::new("ana", "log in", "shop").origin("10.0.0.7"),
        Event::new("ana", "delete", "invoice/17").outcome("denied").detail(r#"{"reason":"paid"}"#),
    ])?;
    let newest = trail.query().descending().limit(2).page()?;
    for entry in &newest.entries {
        println!("{} {} {}: {}", entry.row.actor, entry.row.action, entry.row.object, entry.row.outcome);
    }
    Ok(trail.head()?)
}
