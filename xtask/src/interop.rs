//! `interop`: software that was written elsewhere reads what bulla-chain writes, and the other way round.
//!
//! The clients come from the registries of Debian and Python. Where they cannot be had, what they would check is skipped,
//! with a line that says so: no machine should fail for lack of somebody else's server.

use std::fs;
use std::path::Path;

use crate::{Outcome, shell};

/// Where Debian puts the sources of Go packages, for builds without a network.
const GO_PATH: &str = "/usr/share/gocode";
const GO_PACKAGES: [&str; 2] = ["golang-go", "golang-golang-x-mod-dev"];
const ORIGIN: &str = "acme/logins/07070707";

pub(crate) fn run() -> Outcome {
    let folder = shell::target_dir().join("interop");
    let export = folder.join("log");
    if export.exists() {
        fs::remove_dir_all(&export).map_err(|error| format!("cannot remove {}: {error}", export.display()))?;
    }
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let export = shell::text(&export)?;
    shell::cargo(
        &["run", "--package", "bulla-chain", "--features", "ed25519", "--example", "export", "--", export],
        &[],
    )?;
    python(&folder, export)?;
    go(&folder, export)
}

/// pymerkle, sigstore and cryptography, in a folder of their own.
fn python(folder: &Path, export: &str) -> Outcome {
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
    shell::run(program, &["xtask/interop/check.py", export], &[])
}

/// Go's packages for transparency logs, and `bulla check` on what they write.
fn go(folder: &Path, export: &str) -> Outcome {
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
    shell::run("go", &["run", "xtask/interop/check.go", export], &env)?;
    let (proof, key) = (format!("{export}/by-go.tlog-proof"), format!("{export}/key.pub"));
    shell::cargo(&["run", "--package", "bulla-cli", "--", "check", &proof, "--key", &key, "--origin", ORIGIN], &[])
}
