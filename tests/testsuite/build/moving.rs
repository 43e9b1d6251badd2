//! Moving tags with a real registry and a real repository: whichever build ends last, they end at the
//! newest.

use std::process::Command;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use deployctl::image::{
    Blob, BlobContent, Digest, ImageName, ImageReference, Manifest, PinnedImage, SourceFacts, Tag,
};
use deployctl::ops::{Arrival, MoveOutcome, MovedTag};
use deployctl::registry::{
    BlobReader, Descriptor, Memory, Registry, RegistryError, Remote, Resolver,
};
use deployctl::system::Environment;
use deployctl::tags::MovingTag;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{RegistryServer, World};

fn git(dir: &Utf8Path, arguments: &[&str], second: i64) -> String {
    let date = format!("@{second} +0000");
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .current_dir(dir)
        .envs([("GIT_COMMITTER_DATE", &date), ("GIT_AUTHOR_DATE", &date)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A branch `main` with commits, and for each commit a clone that was made when it was the last.
struct History {
    dir: tempfile::TempDir,
    builds: Vec<SourceFacts>,
}

impl History {
    /// Makes as many commits, so many of them in each second.
    fn new(commits: usize, in_a_second: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut history = Self { dir, builds: Vec::new() };
        let root = history.path("origin");
        std::fs::create_dir(&root).unwrap();
        git(&root, &["init", "-q", "-b", "main"], 0);
        for number in 0..commits {
            let second = 1_600_000_000 + (number / in_a_second) as i64;
            let message = number.to_string();
            git(&root, &["commit", "-q", "--allow-empty", "-m", &message], second);
            let clone = history.path(&message);
            git(&root, &["clone", "-q", "--no-local", ".", clone.as_str()], 0);
            history.builds.push(SourceFacts {
                commit: Some(git(&root, &["rev-parse", "HEAD"], 0)),
                committed: Timestamp::from_second(second).ok(),
                branch: Some("main".to_owned()),
                root: Some(clone),
                ..SourceFacts::default()
            });
        }
        history
    }

    /// As [`Self::new`], with clones of so many commits each.
    fn shallow(commits: usize, in_a_second: usize, depth: usize) -> Self {
        let mut history = Self::new(commits, in_a_second);
        for build in &mut history.builds {
            let (whole, depth) = (build.root.take().unwrap(), depth.to_string());
            let clone = Utf8PathBuf::from(format!("{whole}-shallow"));
            let from = format!("file://{whole}");
            git(&whole, &["clone", "-q", "--depth", &depth, &from, clone.as_str()], 0);
            (build.root, build.is_shallow) = (Some(clone), true);
        }
        history
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.dir.path().join(name)).unwrap()
    }
}

/// Pushes an image that says `text` and returns its digest.
async fn push(registry: &dyn Registry, name: &ImageName, text: &str) -> Digest {
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"a": text}},
        "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    let (digest, size) = (Digest::of(config.as_bytes()), config.len() as u64);
    let content = BlobContent::Bytes(config.into());
    registry.push_blob(name, &Blob { digest: digest.clone(), size, content }).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest.as_str(), "size": size});
    let document =
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []});
    let manifest = Manifest { media_type, bytes: document.to_string().into() };
    registry.push_manifest(name, &manifest, &[]).await.unwrap();
    manifest.digest()
}

async fn arrive(
    registry: &dyn Registry,
    name: &ImageName,
    source: &SourceFacts,
    moving: &[&str],
) -> Vec<MovedTag> {
    let digest = push(registry, name, source.commit.as_deref().unwrap()).await;
    let image = PinnedImage { name: name.clone(), tag: None, digest };
    let arrival = Arrival { registry, image: &image, manifest: None, source, version_prefix: "" };
    let moving: Vec<MovingTag> = moving.iter().map(|text| text.parse().unwrap()).collect();
    arrival.move_tags(&moving).await.unwrap()
}

async fn at(registry: &dyn Registry, name: &ImageName, tag: &str) -> Option<Digest> {
    let tag = Some(tag.parse().unwrap());
    registry.resolve(&ImageReference { name: name.clone(), tag, digest: None }).await.unwrap()
}

/// Returns the numbers below `count` in an order that `seed` decides.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut numbers: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(last, (state % (last as u64 + 1)) as usize);
    }
    numbers
}

/// Runs all builds at once, each in a process of its own as it were, and checks that the tags end at
/// the newest.
async fn race(server: &RegistryServer, repository: &str, history: &History, seed: u64) {
    let name = ImageName::new(server.domain(), &format!("{repository}{seed}")).unwrap();
    let last = history.builds.len() - 1;
    let builds = shuffled(history.builds.len(), seed).into_iter().map(|number| {
        let (name, source) = (name.clone(), history.builds[number].clone());
        tokio::spawn(async move {
            let registry = Remote::new(&Environment::default()).unwrap();
            (number, arrive(&registry, &name, &source, &["latest", "{branch}"]).await)
        })
    });
    let builds: Vec<_> = builds.collect();
    for build in builds {
        let (number, moved) = build.await.unwrap();
        for MovedTag { tag, outcome } in moved {
            let is_there = matches!(outcome, MoveOutcome::Moved | MoveOutcome::Unchanged);
            assert!(is_there || number < last, "{tag}: {outcome:?}");
        }
    }
    let registry = Remote::new(&Environment::default()).unwrap();
    let newest = history.builds[last].commit.as_deref().unwrap();
    let newest = Some(push(&registry, &name, newest).await);
    assert_eq!(at(&registry, &name, "latest").await, newest, "seed {seed}");
    assert_eq!(at(&registry, &name, "main").await, newest, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn builds_that_race_leave_the_tags_at_the_newest() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let history = History::new(12, 1);
    for seed in 1..=4 {
        race(&server, "shop/web", &history, seed).await;
    }
}

/// A bot merges two changes in one second, and each is built from a checkout of that commit alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn builds_of_one_second_that_race_leave_the_tags_at_the_child() {
    let Some(server) = RegistryServer::start_plain() else { return };
    for seed in 1..=6 {
        race(&server, "shop/one", &History::shallow(2, 2, 1), seed).await;
    }
    // Three in a second, of which each checkout has two and so knows its grandparent.
    race(&server, "shop/two", &History::shallow(3, 3, 2), 1).await;
}

#[tokio::test]
async fn a_build_that_can_t_tell_leaves_the_tag_and_says_so() {
    let history = History::shallow(3, 3, 1);
    let name = ImageName::new("registry.example.com", "shop/web").unwrap();
    for (first, second) in [(0, 2), (2, 0)] {
        let memory = Memory::new();
        arrive(&memory, &name, &history.builds[first], &["latest"]).await;
        let moved = arrive(&memory, &name, &history.builds[second], &["latest"]).await;
        let MoveOutcome::Overtaken(reason) = &moved[0].outcome else { panic!("{moved:?}") };
        assert!(reason.contains("of the same second"), "{reason}");
        assert!(reason.ends_with("fetch more of the history to know"), "{reason}");
        // The one that comes next knows better, whatever was left.
        let moved = arrive(&memory, &name, &History::new(4, 4).builds[3], &["latest"]).await;
        assert_eq!(moved[0].outcome, MoveOutcome::Moved, "{moved:?}");
    }
}

#[tokio::test]
async fn builds_that_end_in_any_order_leave_the_tags_at_the_newest() {
    let history = History::new(8, 4);
    let name: ImageName = ImageName::new("registry.example.com", "shop/web").unwrap();
    for seed in 1..=20 {
        let registry = Memory::new();
        let mut furthest = 0;
        for number in shuffled(8, seed) {
            let moved = arrive(&registry, &name, &history.builds[number], &["latest"]).await;
            let is_overtaken = matches!(moved[0].outcome, MoveOutcome::Overtaken(_));
            assert_eq!(is_overtaken, number < furthest, "seed {seed}: {moved:?}");
            furthest = furthest.max(number);
        }
    }
}

#[tokio::test]
async fn a_tag_that_was_put_too_late_is_put_right() {
    let history = History::new(2, 2);
    let name = ImageName::new("registry.example.com", "shop/web").unwrap();
    let memory = Memory::new();
    let late = Late { inner: &memory, asked: Notify::new(), go: Notify::new() };
    let (older, newer) = (&history.builds[0], &history.builds[1]);
    let newer_build = async {
        // The older build has seen that nothing is ahead of it, and is about to put the tag.
        late.asked.notified().await;
        let moved = arrive(&memory, &name, newer, &["latest"]).await;
        late.go.notify_one();
        moved
    };
    let (overtaken, moved) = tokio::join!(arrive(&late, &name, older, &["latest"]), newer_build);
    assert_eq!(moved[0].outcome, MoveOutcome::Moved);
    assert!(matches!(overtaken[0].outcome, MoveOutcome::Overtaken(_)), "{overtaken:?}");
    let newest = push(&memory, &name, newer.commit.as_deref().unwrap()).await;
    assert_eq!(at(&memory, &name, "latest").await, Some(newest));
}

#[tokio::test]
async fn a_history_that_parted_takes_no_tag() {
    let history = History::new(1, 1);
    let mut parted = history.builds[0].clone();
    let root = history.path("origin");
    git(&root, &["checkout", "-q", "--orphan", "other"], 0);
    git(&root, &["commit", "-q", "--allow-empty", "-m", "other"], 1_600_000_100);
    parted.commit = Some(git(&root, &["rev-parse", "HEAD"], 0));
    (parted.committed, parted.root) = (Timestamp::from_second(1_600_000_100).ok(), Some(root));
    let name = ImageName::new("registry.example.com", "shop/web").unwrap();
    let memory = Memory::new();
    arrive(&memory, &name, &history.builds[0], &["{branch}"]).await;
    let moved = arrive(&memory, &name, &parted, &["{branch}"]).await;
    let MoveOutcome::Overtaken(reason) = &moved[0].outcome else { panic!("{moved:?}") };
    assert!(reason.contains("if it was given up, delete the tag `main."), "{reason}");
}

/// A registry that takes a tag `latest` only when it is told to.
struct Late<'a> {
    inner: &'a Memory,
    asked: Notify,
    go: Notify,
}

#[async_trait]
impl Resolver for Late<'_> {
    async fn resolve(&self, reference: &ImageReference) -> Result<Option<Digest>, RegistryError> {
        self.inner.resolve(reference).await
    }

    async fn manifest(&self, at: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        self.inner.manifest(at).await
    }
}

#[async_trait]
impl Registry for Late<'_> {
    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        self.inner.has_blob(name, digest).await
    }

    async fn blob(&self, name: &ImageName, digest: &Digest) -> Result<BlobReader, RegistryError> {
        self.inner.blob(name, digest).await
    }

    async fn push_blob(&self, name: &ImageName, blob: &Blob) -> Result<(), RegistryError> {
        self.inner.push_blob(name, blob).await
    }

    async fn mount_blob(
        &self,
        name: &ImageName,
        digest: &Digest,
        from: &ImageName,
    ) -> Result<bool, RegistryError> {
        self.inner.mount_blob(name, digest, from).await
    }

    async fn push_manifest(
        &self,
        name: &ImageName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        if tags.iter().any(|tag| tag.as_str() == "latest") {
            self.asked.notify_one();
            self.go.notified().await;
            // What is put right is not held up.
            self.go.notify_one();
        }
        self.inner.push_manifest(name, manifest, tags).await
    }

    async fn referrers(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.inner.referrers(name, digest, artifact_type).await
    }

    async fn tags(&self, name: &ImageName) -> Result<Vec<Tag>, RegistryError> {
        self.inner.tags(name).await
    }
}

#[test]
fn an_older_build_is_told_and_leaves_the_tags_alone() {
    let Some(server) = RegistryServer::start_plain() else { return };
    let world = World::new();
    let service = format!("{}/shop/web", server.domain());
    world.write(
        "deployctl.yaml",
        &format!(
            "version: 1\nenvironments: {{}}\nservices:\n  web:\n    image: {service}\n    tag: semver\n    \
             movingTags: [latest, '{{major}}', '{{major}}.{{minor}}', 'edge@main']\n    \
             build: {{context: web, layers: [{{from: ., to: /srv}}]}}\n"
        ),
    );
    let commit = |text: &str, tag: &str, second: i64| {
        world.write("web/index.html", text);
        git(world.path(), &["add", "web"], 0);
        git(world.path(), &["commit", "-q", "-m", text], second);
        git(world.path(), &["tag", tag], 0);
    };
    git(world.path(), &["init", "-q", "-b", "main"], 0);
    commit("one", "v1.4.0", 1_600_000_000);
    commit("two", "v1.5.0", 1_600_000_100);
    let build = || -> (Value, String) {
        let ran = world.run(&["build", "--output", "json"]);
        assert_eq!(ran.code, 0, "{ran:#?}");
        (serde_json::from_str(&ran.stdout).unwrap(), ran.stderr)
    };
    let outcomes = |report: &Value| -> Vec<String> {
        let tags = report["images"][0]["movingTags"].as_array().unwrap();
        tags.iter()
            .map(|tag| format!("{} {}", tag["tag"], tag["outcome"]).replace('"', ""))
            .collect()
    };
    let (newer, _) = build();
    assert_eq!(newer["images"][0]["tag"], "1.5.0");
    assert_eq!(outcomes(&newer), ["latest moved", "1 moved", "1.5 moved", "edge moved"]);
    // As a job that checks out a tag does it: no branch is known.
    git(world.path(), &["checkout", "-q", "v1.4.0"], 0);
    let (older, told) = build();
    assert_eq!(older["images"][0]["tag"], "1.4.0");
    assert_eq!(
        outcomes(&older),
        ["latest overtaken", "{major} overtaken", "1.4 moved", "edge@main not-followed"]
    );
    assert!(
        told.contains("warning: the tag `latest` of web stays where it is: version 1.5.0 is ahead"),
        "{told}"
    );
    // What the registry has is asked for its place too, and leaves what is right as it is.
    git(world.path(), &["checkout", "-q", "main"], 0);
    let (again, _) = build();
    assert_eq!(again["images"][0]["reused"], true);
    assert_eq!(
        outcomes(&again),
        ["latest unchanged", "1 unchanged", "1.5 unchanged", "edge unchanged"]
    );
}
