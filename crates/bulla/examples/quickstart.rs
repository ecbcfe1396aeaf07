//! A table in a directory, from the first row to a clean close: `cargo run --example quickstart`.

use bulla::{Error, Store};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug)]
struct Login {
    user: String,
    ok: bool,
}

fn main() -> Result<(), Error> {
    let dir = std::env::temp_dir().join("bulla-quickstart");
    let store = Store::open(&dir)?;
    let logins = store.table::<Login>("logins")?;
    logins.append(&Login { user: "ana".into(), ok: true })?;
    for entry in logins.query().descending().limit(10).iter()? {
        let entry = entry?;
        println!("{} {:?}", entry.position, entry.row);
    }
    println!("{} rows in {}", logins.len()?, dir.display());
    store.close()
}
