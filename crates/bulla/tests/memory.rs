//! Stores in memory: all of it, without a disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bulla::{Event, Store, Verdict, VerifyOptions};

#[test]
fn a_store_in_memory_does_everything_and_shares_nothing() {
    let (store, other) = (Store::in_memory().unwrap(), Store::in_memory().unwrap());
    let trail = store.table::<Event>("trail").unwrap();
    trail.append_batch(&[Event::new("ana", "log in", "shop"), Event::new("ana", "log out", "shop")]).unwrap();
    assert_eq!(trail.len().unwrap(), 2);
    assert!(other.tables().is_empty());
    assert_eq!(store.name(), "store");
    let report = store.verify(&VerifyOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(report.verdict(), Verdict::Intact, "{report:?}");
    assert!(!store.is_poisoned());
    while store.maintain().unwrap() {}
    store.close().unwrap();
    other.close().unwrap();
}

#[test]
fn handles_are_shared_between_threads() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_shared::<Store>();
    is_shared::<bulla::Reader>();
    is_shared::<bulla::Table<Event>>();

    let store = Store::in_memory().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let trail = store.table::<Event>("trail").unwrap();
                for number in 0..25 {
                    trail.append(&Event::new(thread.to_string(), "count", number.to_string())).unwrap();
                }
            });
        }
    });
    assert_eq!(store.table::<Event>("trail").unwrap().len().unwrap(), 100);
    assert_eq!(store.tables().len(), 1);
}
