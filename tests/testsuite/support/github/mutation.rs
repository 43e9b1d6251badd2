//! The fields of GraphQL's roots that the test's GitHub answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::graphql::Refused;
use super::hub::{Hub, Pull};
use super::objects;

/// Returns a short name of a request: `query` and its name, or `mutation` and the field.
pub(super) fn name(document: &str) -> String {
    let known =
        ["createCommitOnBranch", "enablePullRequestAutoMerge", "enqueuePullRequest", "updateRefs"];
    match known.iter().find(|field| document.contains(*field)) {
        Some(field) => format!("mutation {field}"),
        None => {
            let words = document.split(|c: char| !c.is_ascii_alphanumeric());
            words.take_while(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        }
    }
}

pub(super) fn resolve(
    hub: &mut Hub,
    field: &str,
    of: &Value,
    arguments: &Value,
) -> Result<Value, Refused> {
    let input = &arguments["input"];
    match field {
        "repository" if arguments["owner"] == "shop" => Ok(repository(hub)),
        "repository" => {
            Err(refused("NOT_FOUND", "Could not resolve to a Repository with that name."))
        }
        "createCommitOnBranch" => create_commit(hub, input),
        "enablePullRequestAutoMerge" => enable_auto_merge(hub, input),
        "updateRefs" => update_refs(hub, input),
        "enqueuePullRequest" => enqueue(hub, input),
        "Repository.object" => Ok(objects::object(&hub.repository(), arguments)),
        "Commit.history" => Ok(objects::history(&hub.repository(), of, arguments)),
        "Commit.file" => Ok(objects::file(&hub.repository(), of, arguments)),
        other => panic!("this server does not answer `{other}`"),
    }
}

fn refused(kind: &'static str, message: &str) -> Refused {
    Refused { kind, message: message.to_owned() }
}

fn repository(hub: &Hub) -> Value {
    let pulls: serde_json::Map<String, Value> =
        hub.pulls.iter().map(|pull| (pull.number.to_string(), pull_request(hub, pull))).collect();
    let queue = hub.merge_queue.then(|| json!({"__typename": "MergeQueue", "id": "MQ_1"}));
    json!({
        "__typename": "Repository",
        "id": "R_1",
        "autoMergeAllowed": hub.allows_auto_merge,
        "mergeCommitAllowed": true,
        "squashMergeAllowed": true,
        "rebaseMergeAllowed": false,
        "object()": null,
        "mergeQueue()": {"main": queue},
        "pullRequest()": pulls,
    })
}

fn pull_request(hub: &Hub, pull: &Pull) -> Value {
    let merge_commit = pull.merged.as_ref().map(|oid| json!({"__typename": "Commit", "oid": oid}));
    let auto = pull
        .auto_merge
        .then(|| json!({"__typename": "AutoMergeRequest", "enabledAt": "2026-01-01T00:00:00Z"}));
    json!({
        "__typename": "PullRequest",
        "id": format!("PR_{}", pull.number),
        "number": pull.number,
        "state": if pull.merged.is_some() { "MERGED" } else if pull.open { "OPEN" } else { "CLOSED" },
        "isDraft": false,
        "mergeStateStatus": pull.merge_state,
        "headRefOid": hub.tip(&pull.head).map(|oid| oid.to_string()),
        "isInMergeQueue": pull.queued,
        "autoMergeRequest": auto,
        "mergeCommit": merge_commit,
    })
}

/// Returns the pull request that a mutation means, if its head is where the mutation says.
fn meant<'a>(hub: &'a mut Hub, input: &Value) -> Result<&'a mut Pull, Refused> {
    let id = input["pullRequestId"].as_str().unwrap().to_owned();
    let index = hub.pulls.iter().position(|pull| format!("PR_{}", pull.number) == id);
    let index = index.ok_or_else(|| refused("NOT_FOUND", "Could not resolve to a node"))?;
    let tip = hub.tip(&hub.pulls[index].head).map(|oid| oid.to_string());
    match input["expectedHeadOid"].as_str() {
        Some(expected) if tip.as_deref() != Some(expected) => Err(refused(
            "UNPROCESSABLE",
            "Head branch was modified. Review and try the merge again.",
        )),
        _ => Ok(&mut hub.pulls[index]),
    }
}

fn enable_auto_merge(hub: &mut Hub, input: &Value) -> Result<Value, Refused> {
    let allowed = hub.allows_auto_merge;
    let pull = meant(hub, input)?;
    if !allowed {
        let message = "Auto merge is not allowed for this repository";
        return Err(refused("UNPROCESSABLE", message));
    }
    if pull.merge_state == "CLEAN" {
        return Err(refused("UNPROCESSABLE", "Pull request Pull request is in clean status"));
    }
    pull.auto_merge = true;
    let pull = pull.clone();
    Ok(json!({
        "__typename": "EnablePullRequestAutoMergePayload",
        "clientMutationId": null,
        "pullRequest": pull_request(hub, &pull),
    }))
}

fn enqueue(hub: &mut Hub, input: &Value) -> Result<Value, Refused> {
    let has_queue = hub.merge_queue;
    let pull = meant(hub, input)?;
    if !has_queue {
        return Err(refused("UNPROCESSABLE", "The merge queue is not enabled on this branch"));
    }
    pull.queued = true;
    Ok(json!({
        "__typename": "EnqueuePullRequestPayload",
        "clientMutationId": null,
        "mergeQueueEntry": {"__typename": "MergeQueueEntry", "id": "MQE_1"},
    }))
}

/// <https://docs.github.com/graphql/reference/mutations#createcommitonbranch>
fn create_commit(hub: &mut Hub, input: &Value) -> Result<Value, Refused> {
    let branch = &input["branch"];
    if branch["repositoryNameWithOwner"] != "shop/manifests" {
        return Err(refused("NOT_FOUND", "Could not resolve to a Repository"));
    }
    let branch = branch["branchName"].as_str().unwrap().to_owned();
    let missing = || refused("NOT_FOUND", "No ref with that name");
    if hub.races > 0 {
        hub.races -= 1;
        hub.commit_to(&branch);
    }
    let tip = hub.tip(&branch).ok_or_else(missing)?;
    let expected = input["expectedHeadOid"].as_str().unwrap();
    if tip.to_string() != expected {
        let message =
            format!("Expected branch to point to \"{tip}\" but it did not. Pull and try again.");
        return Err(refused("STALE_DATA", &message));
    }
    let additions = input["fileChanges"]["additions"].as_array().cloned().unwrap_or_default();
    if additions.len() > 100 {
        return Err(refused("UNPROCESSABLE", "A maximum of 100 additions may be committed"));
    }
    let repository = hub.repository();
    let parent = repository.find_commit(tip).unwrap();
    let mut updates = git2::build::TreeUpdateBuilder::new();
    for addition in &additions {
        let bytes = STANDARD.decode(addition["contents"].as_str().unwrap()).unwrap();
        let path = addition["path"].as_str().unwrap();
        // Whatever the file was before.
        updates.upsert(path, repository.blob(&bytes).unwrap(), git2::FileMode::Blob);
    }
    let tree = updates.create_updated(&repository, &parent.tree().unwrap()).unwrap();
    let who = git2::Signature::now("deployctl[bot]", "bot@example.com").unwrap();
    let (headline, body) = (&input["message"]["headline"], &input["message"]["body"]);
    let text = match body.as_str() {
        Some(body) if !body.is_empty() => format!("{}\n\n{body}", headline.as_str().unwrap()),
        _ => headline.as_str().unwrap().to_owned(),
    };
    let tree = repository.find_tree(tree).unwrap();
    let id = repository.commit(None, &who, &who, &text, &tree, &[&parent]).unwrap();
    repository.reference(&format!("refs/heads/{branch}"), id, true, "api").unwrap();
    hub.verified.push(id.to_string());
    Ok(json!({
        "__typename": "CreateCommitOnBranchPayload",
        "clientMutationId": null,
        "commit": {"__typename": "Commit", "oid": id.to_string()},
    }))
}

/// All of them, or none.
fn update_refs(hub: &mut Hub, input: &Value) -> Result<Value, Refused> {
    let repository = hub.repository();
    let updates = input["refUpdates"].as_array().unwrap();
    for update in updates {
        let (name, before) = (update["name"].as_str().unwrap(), update["beforeOid"].as_str());
        let at = repository.refname_to_id(name).unwrap_or(git2::Oid::ZERO_SHA1).to_string();
        if before.is_some_and(|before| before != at) {
            let message = format!("Reference cannot be updated: {name} is at {at}");
            return Err(refused("UNPROCESSABLE", &message));
        }
    }
    for update in updates {
        let name = update["name"].as_str().unwrap();
        let after = git2::Oid::from_str(update["afterOid"].as_str().unwrap()).unwrap();
        let head = name.strip_prefix("refs/heads/").unwrap().to_owned();
        if after.is_zero() {
            repository.find_reference(name).unwrap().delete().unwrap();
        } else {
            repository.reference(name, after, true, "api").unwrap();
        }
        // GitHub closes a pull request whose branch is gone or has no news.
        let base = repository.refname_to_id("refs/heads/main").unwrap();
        let news = !after.is_zero() && repository.graph_ahead_behind(after, base).unwrap().0 > 0;
        for pull in hub.pulls.iter_mut().filter(|pull| pull.open && pull.head == head) {
            pull.open = news;
        }
    }
    Ok(json!({"__typename": "UpdateRefsPayload", "clientMutationId": null}))
}
