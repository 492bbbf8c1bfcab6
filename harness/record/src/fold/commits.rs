//! From a commit to the moment that Flux had applied it.

use super::RunState;
use crate::cluster::facts;
use crate::event::Nanos;

/// A commit, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// When it was pushed.
    pub at: Nanos,
    /// `branch@sha1:…`, as Flux writes revisions.
    pub revision: String,
    /// Who was seen to have applied it, in the order in which they were.
    pub applied: Vec<Applied>,
    /// Only a later commit was seen applied, which has this one in it: Flux skips what was replaced before it fetched.
    pub with_later: bool,
}

/// Someone applied a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The Kustomization, HelmRelease or FluxInstance.
    pub object: String,
    /// When it was seen to have.
    pub at: Nanos,
}

impl Commit {
    /// How long it took until the first object had applied it.
    pub fn took(&self) -> Option<Nanos> {
        self.applied.first().map(|applied| applied.at.saturating_sub(self.at))
    }
}

impl RunState {
    /// Every commit with who applied it, in order. A source that fetched it has not applied it.
    pub fn commits(&self) -> Vec<Commit> {
        let mut commits: Vec<Commit> =
            self.cluster.commits.iter().map(|(at, revision)| self.commit(*at, revision)).collect();
        for i in (1..commits.len()).rev() {
            let (before, after) = commits.split_at_mut(i);
            let (Some(commit), Some(later)) = (before.last_mut(), after.first()) else { continue };
            let same_branch = branch(&commit.revision) == branch(&later.revision);
            if commit.applied.is_empty() && same_branch && !later.applied.is_empty() {
                commit.applied.clone_from(&later.applied);
                commit.with_later = true;
            }
        }
        commits
    }

    fn commit(&self, at: Nanos, revision: &str) -> Commit {
        let hash = hash(revision);
        let mut applied: Vec<Applied> = self
            .cluster
            .objects()
            .filter_map(|(object, life)| {
                let first = life.after(at.saturating_sub(1)).iter().find(|state| {
                    let revision = state.seen.as_ref().and_then(|seen| seen.fact(facts::APPLIED));
                    !hash.is_empty() && revision.is_some_and(|revision| revision.contains(hash))
                })?;
                Some(Applied { object: object.to_owned(), at: first.at })
            })
            .collect();
        applied.sort_by(|a, b| (a.at, &a.object).cmp(&(b.at, &b.object)));
        Commit { at, revision: revision.to_owned(), applied, with_later: false }
    }
}

/// `main` of `main@sha1:…`.
fn branch(revision: &str) -> &str {
    revision.rsplit_once('@').map_or("", |(branch, _)| branch)
}

/// The hash of `main@sha1:…`.
fn hash(revision: &str) -> &str {
    revision.rsplit_once(':').map_or(revision, |(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Record, SECOND};

    #[test]
    fn a_commit_is_followed_to_those_who_applied_it() {
        let applied = |record: Record, t, object, revision: &str| {
            record.object(t * SECOND, object, |o| o.set(facts::APPLIED, revision))
        };
        let record = Record::good().commit(10 * SECOND, "main@sha1:aaa").commit(12 * SECOND, "main@sha1:bbb");
        let record = record.commit(13 * SECOND, "next@sha1:ccc");
        let record = applied(record, 5, "kustomization/flux-system/apps", "main@sha1:000");
        let record = applied(record, 15, "kustomization/flux-system/apps", "main@sha1:bbb");
        let record = applied(record, 14, "kustomization/flux-system/flux-system", "main@sha1:bbb");
        let run = record
            .object(13 * SECOND, "gitrepository/flux-system/flux-system", |o| o.set(facts::REVISION, "main@sha1:aaa"));

        let shown: Vec<String> = run
            .fold()
            .commits()
            .iter()
            .map(|c| {
                let who: Vec<&str> = c.applied.iter().map(|a| a.object.rsplit('/').next().unwrap()).collect();
                format!("{} {:?} by {} {}", c.revision, c.took().map(|t| t / SECOND), who.join(","), c.with_later)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "main@sha1:aaa Some(4) by flux-system,apps true",
                "main@sha1:bbb Some(2) by flux-system,apps false",
                "next@sha1:ccc None by  false"
            ]
        );
    }
}
