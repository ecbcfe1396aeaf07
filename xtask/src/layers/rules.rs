//! What the crates of this workspace may depend on, and what each of them must have.
//!
//! # Invariants
//!
//! - L1. A normal or build dependency between two crates is an arrow of [`LAYERS`]. Tests may import any crate.
//! - L2. Nothing depends on the command, not even a test.
//! - L3. A crate of the core depends on nothing outside the workspace but [`CORE_DEPENDENCIES`], and on the
//!   [`CHECKERS`] of schedules each under its own `cfg` only, which no build of a user's sets.
//! - L4. A folder is named exactly as its crate, and its crate is in [`LAYERS`].
//! - L5. Every crate forbids unsafe code, has a description, and inherits edition, compiler version, licence and lints.
//! - L6. A published crate has a README.md and a CHANGELOG.md.

/// A crate and the crates right below it.
struct Layer {
    name: &'static str,
    below: &'static [&'static str],
    /// Whether it is linked into every program that embeds bulla, so that L3 holds for it.
    is_core: bool,
}

/// The diagram, bottom up. A new arrow is a change of the design: docs/ARCHITECTURE.md has to tell of it.
const LAYERS: [Layer; 15] = [
    Layer { name: "bulla-wire", below: &[], is_core: true },
    Layer { name: "bulla-vfs", below: &[], is_core: true },
    Layer { name: "bulla-chain", below: &["bulla-wire"], is_core: true },
    Layer { name: "bulla-retention", below: &["bulla-wire"], is_core: true },
    Layer { name: "bulla-segment", below: &["bulla-wire", "bulla-vfs"], is_core: true },
    Layer { name: "bulla-log", below: &["bulla-wire", "bulla-chain", "bulla-vfs", "bulla-segment"], is_core: true },
    Layer { name: "bulla-table", below: VIEW, is_core: true },
    Layer { name: "bulla-stream", below: VIEW, is_core: true },
    Layer { name: "bulla-kv", below: VIEW, is_core: true },
    Layer { name: "bulla-object", below: VIEW, is_core: true },
    Layer { name: "bulla", below: FACADE, is_core: true },
    Layer { name: COMMAND, below: &["bulla"], is_core: false },
    Layer { name: "bulla-testkit", below: &["bulla-wire", "bulla-vfs"], is_core: false },
    Layer { name: "bulla-torture", below: TORTURE, is_core: false },
    Layer { name: "xtask", below: &[], is_core: false },
];

/// Below each view of a log.
const VIEW: &[&str] = &["bulla-wire", "bulla-log"];

/// Below the facade: all libraries.
const FACADE: &[&str] = &[
    "bulla-wire",
    "bulla-vfs",
    "bulla-chain",
    "bulla-retention",
    "bulla-segment",
    "bulla-log",
    "bulla-table",
    "bulla-stream",
    "bulla-kv",
    "bulla-object",
];

/// Below the program that does harm to all of it: the libraries, and the simulated disk.
const TORTURE: &[&str] =
    &["bulla", "bulla-wire", "bulla-vfs", "bulla-chain", "bulla-segment", "bulla-log", "bulla-table", "bulla-testkit"];

const COMMAND: &str = "bulla-cli";

/// What the core may use from outside. Each is code that whoever trusts a log has to trust as well.
const CORE_DEPENDENCIES: [&str; 11] = [
    "serde",
    "postcard",
    "crc32fast",
    "sha2",
    "data-encoding",
    "ed25519-dalek",
    "fs2",
    "tracing",
    "thiserror",
    "rustix",
    "getrandom",
];

/// Checkers of schedules, which put their own locks in the place of std's, and the target that each belongs under.
const CHECKERS: [(&str, &str); 2] = [("loom", "cfg(loom)"), ("shuttle", "cfg(shuttle)")];

/// A crate of the workspace.
#[derive(Clone)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: String,
    pub(crate) is_published: bool,
    pub(crate) description: Option<String>,
    pub(crate) has_readme: bool,
    pub(crate) has_changelog: bool,
    /// The text of its Cargo.toml.
    pub(crate) manifest: String,
    /// The text of the first file of its library and of each of its programs.
    pub(crate) roots: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The `cfg(..)` or triple it is for; `None` is every target.
    pub(crate) target: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Crate {
    /// The other crates of the workspace this one cannot be built without.
    pub(crate) fn arrows<'a>(&'a self, crates: &'a [Crate]) -> impl Iterator<Item = &'a Dependency> {
        self.shipped().filter(|dependency| is_member(dependency, crates))
    }

    /// Dependencies of the crate itself, and not of its tests.
    fn shipped(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| dependency.kind != Kind::Dev)
    }
}

/// One line for each rule that one of `crates` breaks; `crates` is the whole workspace.
pub(crate) fn violations(crates: &[Crate]) -> Vec<String> {
    let mut found = Vec::new();
    for one in crates {
        match LAYERS.iter().find(|layer| layer.name == one.name) {
            Some(layer) => dependencies(one, layer, crates, &mut found),
            None => found.push(format!("{}: not in the diagram", one.name)),
        }
        completeness(one, &mut found);
    }
    found
}

/// L1, L2 and L3.
fn dependencies(one: &Crate, layer: &Layer, crates: &[Crate], found: &mut Vec<String>) {
    let name = &one.name;
    for dependency in &one.dependencies {
        if dependency.name == COMMAND {
            found.push(format!("{name}: depends on {COMMAND}, which nothing may"));
        }
    }
    for dependency in one.shipped() {
        let other = dependency.name.as_str();
        if is_member(dependency, crates) {
            if other != COMMAND && !layer.below.contains(&other) {
                found.push(format!("{name}: the arrow to {other} is not in the diagram"));
            }
        } else if layer.is_core && !CORE_DEPENDENCIES.contains(&other) && !is_checker(dependency) {
            found.push(format!("{name}: {other} is not among the dependencies of the core"));
        }
    }
}

/// L4, L5 and L6.
fn completeness(one: &Crate, found: &mut Vec<String>) {
    let inherits = |field| inherits(&one.manifest, field);
    let forbids_unsafe = !one.roots.is_empty()
        && one.roots.iter().all(|root| root.lines().any(|line| line.trim_end() == "#![forbid(unsafe_code)]"));
    let rules = [
        (one.folder == one.name, "its folder has another name"),
        (forbids_unsafe, "#![forbid(unsafe_code)] is missing"),
        (one.description.as_ref().is_some_and(|text| !text.is_empty()), "the description is missing"),
        (inherits("edition"), "the edition is not inherited from the workspace"),
        (inherits("rust-version"), "rust-version is not inherited from the workspace"),
        (inherits("license"), "the licence is not inherited from the workspace"),
        (inherits("lints"), "lints are not inherited from the workspace"),
        (one.has_readme || !one.is_published, "README.md is missing"),
        (one.has_changelog || !one.is_published, "CHANGELOG.md is missing"),
    ];
    found.extend(rules.iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("{}: {what}", one.name)));
}

/// Whether it is a checker of schedules under the one `cfg` it is allowed for.
fn is_checker(dependency: &Dependency) -> bool {
    let target = dependency.target.as_deref();
    CHECKERS.iter().any(|(name, cfg)| dependency.name == *name && target == Some(cfg))
}

fn is_member(dependency: &Dependency, crates: &[Crate]) -> bool {
    crates.iter().any(|one| one.name == dependency.name)
}

/// Whether `manifest` says `field.workspace = true`, or has a table `[field]` that begins `workspace = true`.
fn inherits(manifest: &str, field: &str) -> bool {
    let squeezed = |line: &str| line.split_whitespace().collect::<String>();
    let mut lines = manifest.lines().map(squeezed).filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        if line == format!("{field}.workspace=true") {
            return true;
        }
        if line == format!("[{field}]") {
            return lines.next().is_some_and(|line| line == "workspace=true");
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[package]
edition.workspace = true
rust-version.workspace = true
license.workspace = true

[dependencies]

[lints]
workspace = true
";

    fn dependency(name: &str, kind: Kind, target: Option<&str>) -> Dependency {
        Dependency { name: name.to_owned(), kind, target: target.map(str::to_owned) }
    }

    /// A crate that breaks no rule.
    fn sound(name: &str, dependencies: &[(&str, Kind)]) -> Crate {
        Crate {
            name: name.to_owned(),
            folder: name.to_owned(),
            is_published: true,
            description: Some("a crate".to_owned()),
            has_readme: true,
            has_changelog: true,
            manifest: MANIFEST.to_owned(),
            roots: vec!["//! A tour.\n\n#![forbid(unsafe_code)]\n".to_owned()],
            dependencies: dependencies.iter().map(|&(name, kind)| dependency(name, kind, None)).collect(),
        }
    }

    fn check(crates: &[Crate], expected: &[&str]) {
        assert_eq!(violations(crates), expected);
    }

    /// All of [`LAYERS`] with every arrow it allows.
    fn whole_diagram() -> Vec<Crate> {
        let with_arrows = |layer: &Layer| {
            let arrows: Vec<_> = layer.below.iter().map(|&name| (name, Kind::Normal)).collect();
            sound(layer.name, &arrows)
        };
        LAYERS.iter().map(with_arrows).collect()
    }

    #[test]
    fn the_diagram_itself_breaks_no_rule() {
        check(&whole_diagram(), &[]);
    }

    /// No arrow of the table points at its own layer or at one above it, so the table has no cycle.
    #[test]
    fn arrows_of_the_diagram_point_down() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for below in layer.below {
                assert!(LAYERS[..at].iter().any(|other| other.name == *below), "{} to {below}", layer.name);
            }
        }
    }

    /// L1, for every pair: exactly the pairs of the table pass.
    #[test]
    fn every_arrow_that_is_not_in_the_diagram_is_found() {
        for (at, from) in LAYERS.iter().enumerate() {
            for to in LAYERS.iter().filter(|to| to.name != from.name && !from.below.contains(&to.name)) {
                for kind in [Kind::Normal, Kind::Build] {
                    let mut crates = whole_diagram();
                    crates[at].dependencies.push(dependency(to.name, kind, None));
                    let found = violations(&crates);
                    assert_eq!(found.len(), 1, "{} to {}: {found:?}", from.name, to.name);
                    assert!(found[0].contains(from.name) && found[0].contains(to.name), "{found:?}");
                }
            }
        }
    }

    /// L1 and L2.
    #[test]
    fn tests_may_import_any_crate_but_the_command() {
        let dependencies = [("bulla-log", Kind::Dev), ("proptest", Kind::Dev), ("bulla-cli", Kind::Dev)];
        let crates = [sound("bulla-wire", &dependencies), sound("bulla-log", &[]), sound("bulla-cli", &[])];
        check(&crates, &["bulla-wire: depends on bulla-cli, which nothing may"]);
    }

    /// L3: an optional dependency counts too, since cargo lists it as a normal one.
    #[test]
    fn the_core_depends_on_the_short_list_only() {
        let outside = [("sha2", Kind::Normal), ("anyhow", Kind::Normal), ("cc", Kind::Build), ("rand", Kind::Dev)];
        let expected = [
            "bulla-chain: anyhow is not among the dependencies of the core",
            "bulla-chain: cc is not among the dependencies of the core",
        ];
        check(&[sound("bulla-chain", &outside)], &expected);
        check(&[sound("bulla-cli", &outside), sound("xtask", &outside)], &[]);
    }

    /// L3: a checker that got into a build without its `cfg` would be linked into every program.
    #[test]
    fn a_checker_of_schedules_stays_under_its_cfg() {
        let mut one = sound("bulla-vfs", &[]);
        one.dependencies = vec![
            dependency("loom", Kind::Normal, Some("cfg(loom)")),
            dependency("shuttle", Kind::Normal, Some("cfg(shuttle)")),
            dependency("loom", Kind::Dev, None),
        ];
        check(std::slice::from_ref(&one), &[]);
        for target in [None, Some("cfg(shuttle)"), Some("cfg(any(loom, unix))")] {
            one.dependencies = vec![dependency("loom", Kind::Normal, target)];
            check(std::slice::from_ref(&one), &["bulla-vfs: loom is not among the dependencies of the core"]);
        }
    }

    /// L4, L5 and L6: each rule alone.
    #[test]
    fn what_a_crate_lacks_is_named() {
        type Spoil = fn(&mut Crate);
        let table: [(Spoil, &str); 11] = [
            (|one| "wire".clone_into(&mut one.folder), "its folder has another name"),
            (|one| one.roots.push("#![deny(unsafe_code)]".to_owned()), "#![forbid(unsafe_code)] is missing"),
            (|one| one.roots.clear(), "#![forbid(unsafe_code)] is missing"),
            (|one| one.description = None, "the description is missing"),
            (
                |one| one.manifest = MANIFEST.replace("edition.w", "#"),
                "the edition is not inherited from the workspace",
            ),
            (
                |one| one.manifest = MANIFEST.replace("rust-version.w", "#"),
                "rust-version is not inherited from the workspace",
            ),
            (
                |one| one.manifest = MANIFEST.replace("license.w", "#"),
                "the licence is not inherited from the workspace",
            ),
            (|one| one.manifest = MANIFEST.replace("[lints]", ""), "lints are not inherited from the workspace"),
            (
                |one| one.manifest = MANIFEST.replace("[lints]\nw", "[lints]\n# w"),
                "lints are not inherited from the workspace",
            ),
            (|one| one.has_readme = false, "README.md is missing"),
            (|one| one.has_changelog = false, "CHANGELOG.md is missing"),
        ];
        for (spoil, expected) in table {
            let mut one = sound("bulla-wire", &[]);
            spoil(&mut one);
            check(&[one], &[&format!("bulla-wire: {expected}")]);
        }
    }

    /// L6.
    #[test]
    fn an_unpublished_crate_needs_no_readme() {
        let mut one = sound("bulla-testkit", &[]);
        (one.is_published, one.has_readme, one.has_changelog) = (false, false, false);
        check(&[one], &[]);
    }

    /// L4.
    #[test]
    fn a_crate_outside_the_diagram_is_found() {
        check(&[sound("bulla-extra", &[])], &["bulla-extra: not in the diagram"]);
    }

    /// A manifest may write either form, with spaces or a remark in between.
    #[test]
    fn inheritance_has_two_spellings() {
        assert!(inherits("lints.workspace = true", "lints"));
        assert!(inherits("[lints]\n# shared\n\nworkspace=true", "lints"));
        assert!(!inherits("[lints.rust]\nworkspace = true", "lints"));
        assert!(!inherits("edition = \"2024\"", "edition"));
        assert!(!inherits("# edition.workspace = true", "edition"));
    }
}
