//! What cargo knows of this workspace: where it lies, its packages, their dependencies and licences.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The answer of `cargo metadata`, as far as we read it.
#[derive(Deserialize)]
pub struct Metadata {
    /// Every package of the dependency graph, or of the workspace alone.
    pub packages: Vec<Package>,
    /// Ids of the packages that are ours.
    pub workspace_members: Vec<String>,
}

/// One package.
#[derive(Deserialize)]
pub struct Package {
    /// Cargo's opaque id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SPDX expression, when it has one.
    pub license: Option<String>,
    /// Where its Cargo.toml lies.
    pub manifest_path: PathBuf,
    /// What it names in its dependency tables.
    pub dependencies: Vec<Dependency>,
}

/// One line of a dependency table.
#[derive(Deserialize)]
pub struct Dependency {
    /// The package depended on.
    pub name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
    /// Set for a dependency on another room.
    pub path: Option<PathBuf>,
}

impl Package {
    /// The directory of its Cargo.toml.
    pub fn directory(&self) -> &Path {
        self.manifest_path.parent().expect("a manifest lies in a directory")
    }
}

/// The workspace's root: the directory above this package.
pub fn root() -> PathBuf {
    let package = PathBuf::from(
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR"))),
    );
    package.parent().expect("xtask lies below the root").to_owned()
}

/// A command that runs the cargo which runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Asks cargo for the packages; with `dependencies` also for those of others, for all targets we ship on.
pub fn metadata(dependencies: bool) -> Result<Metadata> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--quiet"]).current_dir(root());
    if !dependencies {
        command.arg("--no-deps");
    }
    let output = command.output().context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cannot read the answer of cargo metadata")
}

/// Paths of all files that git tracks or would track, relative to the root and sorted.
pub fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("cannot run git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<String> =
        listing.split('\0').filter(|name| !name.is_empty()).map(String::from).collect();
    files.sort();
    files.dedup();
    Ok(files)
}
