//! Edges between rooms point downwards only, and a pure room depends on no crate that touches the world.

use std::path::Path;

use super::Problem;
use super::excuses::Excuses;
use super::rooms::{Purity, ROOMS, Room, WORLDLY_CRATES};
use crate::workspace::{Metadata, Package};

/// Compares each package's dependencies with the table of rooms.
pub fn check(metadata: &Metadata, root: &Path, excuses: &mut Excuses, problems: &mut Vec<Problem>) {
    for package in &metadata.packages {
        let manifest = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
        let file = manifest.display().to_string();
        let Some(room) = ROOMS.iter().find(|room| room.package == package.name) else {
            problems.push(Problem {
                file,
                line: 0,
                what: format!("{} is no room of the house; add it to xtask/src/tidy/rooms.rs", package.name),
            });
            continue;
        };
        if package.directory() != root.join(room.directory) {
            let what = format!("{} is expected in the directory {}", package.name, room.directory);
            problems.push(Problem { file: file.clone(), line: 0, what });
        }
        check_room(room, package, &file, excuses, problems);
    }
}

fn check_room(
    room: &Room,
    package: &Package,
    file: &str,
    excuses: &mut Excuses,
    problems: &mut Vec<Problem>,
) {
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        // A test may use any room below its own, and touch the world; what is shipped may not.
        let is_shipped = dependency.kind.as_deref() != Some("dev");
        let refused = if dependency.path.is_some() {
            !room.may_use.contains(&name) && (is_shipped || !is_below(name, room))
        } else {
            is_shipped && matches!(room.purity, Purity::Pure) && WORLDLY_CRATES.contains(&name)
        };
        if refused && !excuses.edge(room.package, name) {
            let allowed = room.may_use.join(", ");
            let what = format!("{} must not depend on {name} (it may use: {allowed})", room.package);
            problems.push(Problem { file: file.to_owned(), line: 0, what });
        }
    }
}

/// Whether `name` stands before `room` in the table, in which edges point to what stands before.
fn is_below(name: &str, room: &Room) -> bool {
    let place = |package: &str| ROOMS.iter().position(|other| other.package == package);
    place(name).is_some_and(|below| Some(below) < place(room.package))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, directory: &str, dependencies: Vec<Dependency>) -> Metadata {
        let package = Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: None,
            manifest_path: Path::new("/house").join(directory).join("Cargo.toml"),
            dependencies,
        };
        Metadata { packages: vec![package], workspace_members: Vec::new() }
    }

    fn problems_of(metadata: &Metadata) -> Vec<Problem> {
        let mut problems = Vec::new();
        check(metadata, Path::new("/house"), &mut Excuses::default(), &mut problems);
        problems
    }

    #[test]
    fn an_edge_upwards_is_refused() {
        let upwards =
            Dependency { name: "switch".to_owned(), kind: None, path: Some("/house/switch".into()) };
        let problems = problems_of(&package("signaling", "signaling", vec![upwards]));
        assert_eq!(problems[0].what, "signaling must not depend on switch (it may use: clock)");
    }

    #[test]
    fn a_test_may_use_any_room_below_but_none_above() {
        let edge = |name: &str| Dependency {
            name: name.to_owned(),
            kind: Some("dev".to_owned()),
            path: Some(Path::new("/house").join(name)),
        };
        assert_eq!(problems_of(&package("switch", "switch", vec![edge("config")])), []);
        assert_eq!(problems_of(&package("config", "config", vec![edge("switch")])).len(), 1);
    }

    #[test]
    fn a_pure_room_may_not_ship_a_worldly_crate_but_its_tests_may_use_one() {
        let socket = |kind: Option<&str>| Dependency {
            name: "mio".to_owned(),
            kind: kind.map(str::to_owned),
            path: None,
        };
        assert_eq!(problems_of(&package("switch", "switch", vec![socket(None)])).len(), 1);
        assert_eq!(problems_of(&package("switch", "switch", vec![socket(Some("dev"))])), []);
        assert_eq!(problems_of(&package("crosspoint", "server", vec![socket(None)])), []);
    }

    #[test]
    fn a_package_that_is_no_room_is_refused() {
        assert_eq!(problems_of(&package("utils", "utils", Vec::new())).len(), 1);
    }
}
