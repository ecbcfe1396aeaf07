//! Small stores to edit: made once, the same in every run.

use std::path::Path;
use std::sync::LazyLock;

use bulla::{Event, Host, Options, Raw, Store, TableOptions};
use bulla_vfs::{MemVfs, Vfs as _};

use crate::disk::{self, Image};

pub const DIR: &str = "/store";
/// Too little for the reserve to be written again, which would be most of the work; and enough for everything else.
const CAPACITY: u64 = 12 << 20;

/// A store that was closed.
pub static CLOSED: LazyLock<Image> = LazyLock::new(|| made(true));
/// The same store after its process ended without closing it.
pub static UNCLOSED: LazyLock<Image> = LazyLock::new(|| made(false));

/// A host on `disk` that leaves no room for a reserve.
pub fn host(disk: &MemVfs) -> Host {
    disk.set_capacity(Some(CAPACITY));
    disk::host(disk)
}

pub fn options(disk: &MemVfs) -> Options {
    Options::new().host(host(disk)).segment_bytes_max(4 << 10).record_bytes_max(1 << 16)
}

/// One more row in every table there is, as its codec writes it.
pub fn append(store: &Store) -> Result<(), bulla::Error> {
    store.open_table::<Event, bulla::Postcard>("trail", &TableOptions::new())?.append(&event("more"))?;
    store.open_table::<Vec<u8>, Raw>("raw", &TableOptions::new())?.append(&b"more".to_vec())?;
    Ok(())
}

fn event(action: &str) -> Event {
    Event::new("ana", action, "invoice/17").detail(r#"{"n":1}"#)
}

fn made(is_closed: bool) -> Image {
    let disk = MemVfs::new();
    let store = options(&disk).name("fuzz").open(DIR).expect("an empty disk");
    let trail = store.table::<Event>("trail").expect("a new table");
    let raw = store.table_with::<Vec<u8>, Raw>("raw", &TableOptions::new().erasable(true)).expect("a new table");
    for number in 0..60 {
        trail.append(&event(&format!("step {number}"))).expect("room");
    }
    raw.append(&b"a line".to_vec()).expect("room");
    drop((trail, raw));
    if is_closed {
        store.close().expect("room");
    } else {
        drop(store);
    }
    // Without the zeros that were written ahead, which say nothing and are most of the files.
    let mut image = disk::image(&disk);
    for bytes in image.values_mut().flatten() {
        let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| (last + 1).next_multiple_of(8));
        bytes.truncate(len);
    }
    disk.list(Path::new(DIR)).expect("the store is there");
    image
}
