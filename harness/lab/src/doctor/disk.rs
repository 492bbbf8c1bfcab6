//! Is there room for images, containers and builds?

use std::{collections::BTreeMap, path::Path};

use crate::doctor::{Check, Context, GIB, Images, Outcome, size};

/// What any run leaves in the engine while it lasts: a node's volume (1.2 GiB with all controllers), logs, changed layers.
const RUN_BYTES: u64 = 3 * GIB;

/// See [`Check::why`].
#[derive(Debug)]
pub struct Disk;

impl Check for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn why(&self) -> &'static str {
        "a full disk ends a build half-way, and makes kubelet evict pods in the midst of a run"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let needs = cx.needs;
        let (cache_bytes, engine_bytes) = match needs.images {
            _ if cx.builds() => (needs.build_bytes, needs.engine_bytes),
            Images::Cached => (0, RUN_BYTES),
            _ => (needs.build_bytes / 10, needs.engine_bytes),
        };
        let data_root = match cx.engine() {
            Some(engine) if engine.local => Some(engine.data_root.as_path()),
            None if cx.machine.os() == "linux" => Some(Path::new("/var/lib/docker")),
            _ => None,
        };
        let mut wanted = vec![("the cache", needs.cache.as_path(), cache_bytes, 0)];
        wanted.extend(data_root.map(|root| ("the engine's data", root, engine_bytes, RUN_BYTES)));

        let mut observed = Vec::new();
        // Folders on one file system share its room.
        let mut rooms: BTreeMap<u64, Room<'_>> = BTreeMap::new();
        for (what, path, bytes, least) in wanted {
            let space = match cx.machine.space(path) {
                Ok(space) => space,
                Err(error) => {
                    return Outcome::warn(format!("cannot tell the free space at {}: {error}", path.display()));
                }
            };
            observed.push(format!("{} free for {what} ({})", size(space.free_bytes), path.display()));
            let room = rooms.entry(space.file_system).or_default();
            room.free = space.free_bytes;
            room.wanted = room.wanted.saturating_add(bytes);
            room.least = room.least.saturating_add(least);
            room.paths.push(path);
        }
        let observed = observed.join(", ");
        let full = rooms.values().any(|room| room.free < room.least);
        let short: Vec<_> = rooms.values().filter_map(Room::short).collect();
        if short.is_empty() {
            return Outcome::ok(observed);
        }
        // What is in the cache already needs no room, and how much that is only its owner knows.
        let outcome = if full { Outcome::fail(observed) } else { Outcome::warn(observed) };
        let unless = if full { "" } else { "none needed if most is in the cache already; else " };
        outcome.remedy_by(
            format!("{unless}free {}, or move the cache to a larger disk", short.join(" and ")),
            "ferry gc\ndocker system df",
        )
    }
}

/// One file system.
#[derive(Debug, Default)]
struct Room<'a> {
    free: u64,
    /// What a run needs that finds nothing in the cache.
    wanted: u64,
    /// What any run needs.
    least: u64,
    paths: Vec<&'a Path>,
}

impl Room<'_> {
    /// `9.0 GiB more on the disk of /cache and /var/lib/docker`.
    fn short(&self) -> Option<String> {
        let missing = self.wanted.max(self.least).checked_sub(self.free).filter(|bytes| *bytes > 0)?;
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        Some(format!("{} more on the disk of {}", size(missing), paths.join(" and ")))
    }
}
