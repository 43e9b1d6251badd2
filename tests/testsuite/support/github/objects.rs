//! Git objects as GitHub's GraphQL tells them.

use git2::{ObjectType, Repository};
use serde_json::{Value, json};

/// GitHub tells no more of a text.
const LONGEST_TEXT: usize = 512_000;

/// Returns the object that a revision or an id names, or `null`.
pub(super) fn object(repository: &Repository, arguments: &Value) -> Value {
    let found = match (arguments["expression"].as_str(), arguments["oid"].as_str()) {
        (Some(expression), None) => repository.revparse_single(expression).ok(),
        (None, Some(id)) => {
            git2::Oid::from_str(id).ok().and_then(|id| repository.find_object(id, None).ok())
        }
        _ => panic!("an object is asked for by an expression or by its id: {arguments}"),
    };
    found.map_or(Value::Null, |found| told(repository, &found))
}

fn told(repository: &Repository, object: &git2::Object<'_>) -> Value {
    let id = object.id().to_string();
    match object.kind().unwrap() {
        ObjectType::Blob => blob(object.as_blob().unwrap()),
        ObjectType::Tree => {
            let entry = |entry: git2::TreeEntry<'_>| entry_json(repository, &entry);
            let entries: Vec<Value> = object.as_tree().unwrap().iter().map(entry).collect();
            json!({"__typename": "Tree", "oid": id, "entries": entries})
        }
        ObjectType::Commit => commit(object.as_commit().unwrap()),
        _ => json!({"__typename": "Tag", "oid": id}),
    }
}

fn entry_json(repository: &Repository, entry: &git2::TreeEntry<'_>) -> Value {
    let size = match entry.kind() {
        Some(ObjectType::Blob) => repository.find_blob(entry.id()).unwrap().size(),
        _ => 0,
    };
    json!({
        "__typename": "TreeEntry",
        "name": String::from_utf8_lossy(entry.name_bytes()),
        "mode": entry.filemode(),
        "type": entry.kind().unwrap().str(),
        "oid": entry.id().to_string(),
        "size": size,
    })
}

/// Of what is no text GitHub tells nothing, of a long one the beginning, and what is not UTF-8 with
/// other characters in it.
fn blob(blob: &git2::Blob<'_>) -> Value {
    let bytes = blob.content();
    let (is_binary, is_truncated) = (blob.is_binary(), bytes.len() > LONGEST_TEXT);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]);
    json!({
        "__typename": "Blob",
        "oid": blob.id().to_string(),
        "byteSize": bytes.len(),
        "isBinary": if is_truncated { Value::Null } else { is_binary.into() },
        "isTruncated": is_truncated,
        "text": if is_binary { Value::Null } else { text.into() },
    })
}

fn commit(commit: &git2::Commit<'_>) -> Value {
    let person = |who: &git2::Signature<'_>| json!({"__typename": "GitActor", "name": who.name().unwrap(), "email": who.email().unwrap()});
    let time = jiff::Timestamp::from_second(commit.time().seconds()).unwrap().to_string();
    let parent = |id: git2::Oid| json!({"__typename": "Commit", "oid": id.to_string()});
    let parents: Vec<Value> = commit.parent_ids().map(parent).collect();
    json!({
        "__typename": "Commit",
        "oid": commit.id().to_string(),
        "message": commit.message().unwrap_or_default(),
        "committedDate": time,
        "author": person(&commit.author()),
        "tree": {"__typename": "Tree", "oid": commit.tree_id().to_string()},
        "parents": {"__typename": "CommitConnection", "nodes": parents},
        "history()": null,
        "file()": null,
    })
}

fn find<'r>(repository: &'r Repository, commit: &Value) -> git2::Commit<'r> {
    let id = git2::Oid::from_str(commit["oid"].as_str().unwrap()).unwrap();
    repository.find_commit(id).unwrap()
}

/// Returns what is at a path of a commit, or `null`.
pub(super) fn file(repository: &Repository, of: &Value, arguments: &Value) -> Value {
    let tree = find(repository, of).tree().unwrap();
    let path = arguments["path"].as_str().unwrap();
    tree.get_path(path.as_ref()).map_or(Value::Null, |entry| entry_json(repository, &entry))
}

/// Returns a page of what `git log` says.
pub(super) fn history(repository: &Repository, of: &Value, arguments: &Value) -> Value {
    let mut git = std::process::Command::new("git");
    git.arg("--git-dir").arg(repository.path()).args(["log", "--format=%H"]);
    if let Some(since) = arguments["since"].as_str() {
        git.arg(format!("--since={since}"));
    }
    git.arg(of["oid"].as_str().unwrap()).arg("--").args(arguments["path"].as_str());
    let output = git.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let all = String::from_utf8(output.stdout).unwrap();
    let all: Vec<&str> = all.lines().collect();
    let first = usize::try_from(arguments["first"].as_u64().unwrap()).unwrap();
    assert!((1..=100).contains(&first), "GitHub lists no {first} commits on a page");
    let begin: usize = arguments["after"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
    let end = (begin + first).min(all.len());
    let nodes = all[begin.min(end)..end].iter();
    let nodes = nodes.map(|id| commit(&find(repository, &json!({"oid": id}))));
    json!({
        "__typename": "CommitHistoryConnection",
        "pageInfo": {
            "__typename": "PageInfo",
            "hasNextPage": end < all.len(),
            "endCursor": end.to_string(),
        },
        "nodes": nodes.collect::<Vec<_>>(),
    })
}
