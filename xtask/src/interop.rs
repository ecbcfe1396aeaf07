//! `interop`: software that was written elsewhere reads what bulla-chain and the command write, and the other way round.
//!
//! The clients come from the registries of Debian and Python. Where they cannot be had, what they would check is skipped,
//! with a line that says so: no machine should fail for lack of somebody else's server.

use std::fs;
use std::path::Path;

use crate::{Outcome, shell};

/// Where Debian puts the sources of Go packages, for builds without a network.
const GO_PATH: &str = "/usr/share/gocode";
const GO_PACKAGES: [&str; 2] = ["golang-go", "golang-golang-x-mod-dev"];
/// Records of each export: full tiles at two levels, and partial ones at three.
const SIZE: usize = 70_000;
/// What somebody kept of the log when it was shorter.
const OLD_SIZE: usize = 12_345;
/// The records that are proven: in the last tile, in a full one, and the first.
const PROVEN: [&str; 3] = ["69999", "40000", "0"];

pub(crate) fn run() -> Outcome {
    let folder = shell::target_dir().join("interop");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let (of_tree, of_store) = (folder.join("log"), folder.join("store"));
    for export in [&of_tree, &of_store] {
        if export.exists() {
            fs::remove_dir_all(export).map_err(|error| format!("cannot remove {}: {error}", export.display()))?;
        }
    }
    let exports = [shell::text(&of_tree)?, shell::text(&of_store)?];
    let example = ["run", "--package", "bulla-chain", "--features", "ed25519", "--example", "export", "--", exports[0]];
    shell::cargo(&example, &[])?;
    export_store(&of_store)?;
    python(&folder, &exports)?;
    go(&folder, &exports)
}

/// The same of a store, made by the command and nothing else.
fn export_store(export: &Path) -> Outcome {
    let put = |name: &str, bytes: &[u8]| {
        let path = export.join(name);
        fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir(export).map_err(|error| format!("cannot create {}: {error}", export.display()))?;
    let path = |name: &str| shell::text(&export.join(name)).map(str::to_owned);
    let (store, key, lines) = (path("store")?, path("key")?, path("lines")?);
    bulla(&["key", "new", &key, "--name", "acme"])?;
    bulla(&["init", &store, "--key", &key])?;
    // The first record of a log is its genesis.
    for (until, checkpoint) in [(OLD_SIZE, "checkpoint.old"), (SIZE, "checkpoint.new")] {
        let from = if until == SIZE { OLD_SIZE } else { 1 };
        let text: Vec<_> = (from..until).map(|line| format!("login {line}\n")).collect();
        put("lines", text.concat().as_bytes())?;
        bulla(&["ingest", &store, "--table", "logins", "--format", "text", &lines])?;
        put(checkpoint, &bulla(&["checkpoint", &store, "logins"])?)?;
    }
    bulla(&["tiles", &store, "logins", shell::text(export)?])?;
    for position in PROVEN {
        put(&format!("{position}.tlog-proof"), &bulla(&["prove", &store, "logins", position])?)?;
    }
    let (old, new) = (path("checkpoint.old")?, path("checkpoint")?);
    put("consistency", &bulla(&["prove", &store, "logins", "--from", &old, "--to", &new])?)
}

/// What the command prints.
fn bulla(arguments: &[&str]) -> Result<Vec<u8>, String> {
    shell::cargo_output(&[&["run", "--quiet", "--package", "bulla-cli", "--"], arguments].concat())
}

/// pymerkle, sigstore and cryptography, in a folder of their own.
fn python(folder: &Path, exports: &[&str]) -> Outcome {
    let venv = folder.join("venv");
    let program = venv.join("bin/python");
    let (venv, program) = (shell::text(&venv)?, shell::text(&program)?);
    let has_packages = || shell::is_installed(program, &["-c", "import cryptography, pymerkle, sigstore"]);
    if !has_packages() {
        println!("installing pymerkle, sigstore and cryptography from the Python registry");
        let pip = ["-m", "pip", "install", "--quiet", "--requirement", "xtask/interop/requirements.txt"];
        let installed = shell::run("python3", &["-m", "venv", venv], &[]).and_then(|()| shell::run(program, &pip, &[]));
        if let Err(message) = installed {
            println!("skipped: pymerkle, sigstore and cryptography cannot be had here: {message}");
            return Ok(());
        }
    }
    exports.iter().try_for_each(|export| shell::run(program, &["xtask/interop/check.py", export], &[]))
}

/// Go's packages for transparency logs, and `bulla check` on what they write.
fn go(folder: &Path, exports: &[&str]) -> Outcome {
    let is_there = || {
        shell::is_installed("go", &["version"]) && Path::new(GO_PATH).join("src/golang.org/x/mod/sumdb/tlog").is_dir()
    };
    if !is_there() {
        println!("installing {} from the Debian registry", GO_PACKAGES.join(" and "));
        let install = [&["install", "-y", "-q", "--no-install-recommends"][..], &GO_PACKAGES].concat();
        let env = [("DEBIAN_FRONTEND", "noninteractive")];
        let install = || shell::run("apt-get", &install, &env);
        let installed = install().or_else(|_| shell::run("apt-get", &["update", "-q"], &env).and_then(|()| install()));
        if installed.is_err() || !is_there() {
            println!("skipped: golang.org/x/mod/sumdb cannot be had here");
            return Ok(());
        }
    }
    let cache = folder.join("go");
    let env = [("GO111MODULE", "off"), ("GOPATH", GO_PATH), ("GOCACHE", shell::text(&cache)?)];
    for export in exports {
        shell::run("go", &["run", "xtask/interop/check.go", export], &env)?;
        let file = |name: &str| format!("{export}/{name}");
        let checkpoint = fs::read_to_string(file("checkpoint")).map_err(|error| format!("{export}: {error}"))?;
        let origin = checkpoint.lines().next().unwrap_or_default();
        let (proof, key) = (file("by-go.tlog-proof"), file("key.pub"));
        bulla(&["check", &proof, "--key", &key, "--origin", origin])?;
    }
    Ok(())
}
