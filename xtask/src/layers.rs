//! `layers`: dependencies between crates are those in the diagram, and each crate is complete.
//!
//! This file reads what cargo and the folders say; the rules are in `rules.rs`, as functions of that alone.

mod rules;

use std::fs;
use std::path::Path;

use serde_json::Value;

use self::rules::{Crate, Dependency, Kind};
use crate::{Outcome, shell};

pub(crate) fn run() -> Outcome {
    let metadata = shell::cargo_output(&["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cannot read what cargo metadata says: {error}"))?;
    let crates = list(&metadata, "packages").map(read).collect::<Result<Vec<Crate>, String>>()?;
    let violations = rules::violations(&crates);
    for violation in &violations {
        println!("{violation}");
    }
    let arrow_count: usize = crates.iter().map(|one| one.arrows(&crates).count()).sum();
    match violations.len() {
        0 => {
            println!("{} crates, {arrow_count} arrows between them, all in the diagram", crates.len());
            Ok(())
        }
        count => {
            Err(format!("{count} violations; the diagram is in docs/ARCHITECTURE.md and xtask/src/layers/rules.rs"))
        }
    }
}

/// One package of `cargo metadata`, with what its folder adds.
fn read(package: &Value) -> Result<Crate, String> {
    let manifest_path = Path::new(text(package, "manifest_path")?);
    let folder = manifest_path.parent().ok_or_else(|| format!("{} has no folder", manifest_path.display()))?;
    let folder_name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let roots = list(package, "targets")
        .filter(|target| list(target, "kind").any(|kind| kind == "lib" || kind == "bin"))
        .map(|target| read_file(Path::new(text(target, "src_path")?)))
        .collect::<Result<Vec<String>, String>>()?;
    Ok(Crate {
        name: text(package, "name")?.to_owned(),
        folder: folder_name.to_owned(),
        is_published: !package.get("publish").is_some_and(Value::is_array),
        description: package.get("description").and_then(Value::as_str).map(str::to_owned),
        has_readme: folder.join("README.md").is_file(),
        has_changelog: folder.join("CHANGELOG.md").is_file(),
        manifest: read_file(manifest_path)?,
        roots,
        dependencies: list(package, "dependencies").map(dependency).collect::<Result<_, _>>()?,
    })
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    let kind = match value.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(other) => return Err(format!("cargo metadata knows a kind of dependency this program does not: {other}")),
    };
    let target = value.get("target").and_then(Value::as_str).map(str::to_owned);
    Ok(Dependency { name: text(value, "name")?.to_owned(), kind, target })
}

fn read_file(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value
        .get(field)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("cargo metadata has no text called {field} in {value}"))
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_from_metadata_and_from_its_folder() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs");
        let package = serde_json::json!({
            "name": "xtask", "description": "automation", "publish": [], "manifest_path": manifest,
            "targets": [{"kind": ["bin"], "src_path": root}, {"kind": ["test"], "src_path": "/nowhere.rs"}],
            "dependencies": [
                {"name": "serde_json", "kind": null},
                {"name": "cc", "kind": "build"},
                {"name": "tempfile", "kind": "dev", "target": "cfg(unix)"},
            ],
        });
        let read = read(&package).expect("a package");
        assert_eq!((read.name.as_str(), read.folder.as_str()), ("xtask", "xtask"));
        assert!(!read.is_published && !read.has_changelog);
        assert_eq!(read.description.as_deref(), Some("automation"));
        assert!(read.manifest.contains("name = \"xtask\""));
        assert_eq!(read.roots.len(), 1);
        let kinds: Vec<Kind> = read.dependencies.iter().map(|dependency| dependency.kind).collect();
        assert_eq!(kinds, [Kind::Normal, Kind::Build, Kind::Dev]);
        let targets: Vec<Option<&str>> =
            read.dependencies.iter().map(|dependency| dependency.target.as_deref()).collect();
        assert_eq!(targets, [None, None, Some("cfg(unix)")]);
    }

    #[test]
    fn a_package_without_a_name_is_an_error_and_not_a_crate_without_rules() {
        let package = serde_json::json!({"manifest_path": concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")});
        let error = read(&package).map(|_| ()).expect_err("a crate without a name");
        assert!(error.contains("no text called name"), "{error}");
    }
}
