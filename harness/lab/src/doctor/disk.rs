//! Is there room for images, containers and builds?

use std::{collections::BTreeMap, path::Path};

use crate::doctor::{Check, Context, Images, Outcome, size};

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
        let data_root = match cx.engine() {
            Some(engine) if engine.local => Some(engine.data_root.as_path()),
            None if cx.machine.os() == "linux" => Some(Path::new("/var/lib/docker")),
            _ => None,
        };
        let cache_bytes = match needs.images {
            _ if cx.builds() => needs.build_bytes,
            Images::Cached => 0,
            _ => needs.build_bytes / 10,
        };
        let mut wanted = vec![("the cache", needs.cache.as_path(), cache_bytes)];
        wanted.extend(data_root.map(|root| ("the engine's data", root, needs.engine_bytes)));

        let mut observed = Vec::new();
        // Folders on one file system share its room: by file system, what is free and who wants how much.
        let mut rooms: BTreeMap<u64, Room<'_>> = BTreeMap::new();
        for (what, path, bytes) in wanted {
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
            room.paths.push(path);
        }
        let short: Vec<_> = rooms.into_values().filter_map(Room::short).collect();
        if short.is_empty() {
            return Outcome::ok(observed.join(", "));
        }
        Outcome::fail(observed.join(", ")).remedy_by(
            format!("free {}, or move the cache to a larger disk", short.join(" and ")),
            "ferry gc\ndocker system df",
        )
    }
}

/// One file system.
#[derive(Debug, Default)]
struct Room<'a> {
    free: u64,
    wanted: u64,
    paths: Vec<&'a Path>,
}

impl Room<'_> {
    /// `9.0 GiB on the disk of /cache and /var/lib/docker`.
    fn short(self) -> Option<String> {
        let missing = self.wanted.checked_sub(self.free).filter(|bytes| *bytes > 0)?;
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        Some(format!("{} more on the disk of {}", size(missing), paths.join(" and ")))
    }
}
