//! The operations of the REST API that the test's GitHub answers: GitHub's published example of an
//! answer, with what it is about written over it.

use base64::Engine as _;
use serde_json::{Value, json};
use wiremock::Request;

use super::hub::{Hub, Pull};
use super::openapi::{OpenApi, Operation};
use super::{Reply, TOKEN};

pub(super) fn answer(
    hub: &mut Hub,
    api: &'static OpenApi,
    operation: &Operation,
    request: &Request,
) -> Reply {
    let repository = format!("{}/{}", operation.value("owner"), operation.value("repo"));
    if operation.path.contains_key("owner") && repository != "shop/manifests" {
        return Reply::not_found();
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let query = |name: &str| {
        let pair = request.url.query_pairs().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.into_owned())
    };
    let example = |status| api.example(operation, status);
    let number = || operation.value("pull_number").parse::<u64>().unwrap_or(0);
    match operation.name.as_str() {
        "GET /repos/{owner}/{repo}" => {
            Reply::new(200, over(example(200), json!({"default_branch": "main"})))
        }
        "GET /repos/{owner}/{repo}/pulls" => {
            let list = list_pulls(hub, &query).into_iter();
            Reply::new(200, list.map(|pull| over(example(200), pull_json(hub, pull))).collect())
        }
        "POST /repos/{owner}/{repo}/pulls" => open_pull(hub, &body, example(201)),
        "GET /repos/{owner}/{repo}/pulls/{pull_number}" => with_pull(hub, number(), |hub, pull| {
            Reply::new(200, over(example(200), pull_json(hub, pull)))
        }),
        "PATCH /repos/{owner}/{repo}/pulls/{pull_number}" => {
            change_pull(hub, number(), &body, example(200))
        }
        "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge" => merge(hub, number(), &body),
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews" => {
            with_pull(hub, number(), |_, pull| reviews(pull, &example(200)))
        }
        "POST /repos/{owner}/{repo}/issues/{issue_number}/comments" => {
            let number = operation.value("issue_number").parse().unwrap_or(0);
            let Some(pull) = hub.pulls.iter_mut().find(|pull| pull.number == number) else {
                return Reply::not_found();
            };
            pull.comments.push(body["body"].as_str().unwrap().to_owned());
            Reply::new(201, over(example(201), json!({"body": body["body"]})))
        }
        "GET /repos/{owner}/{repo}/git/ref/{ref}" => reference(hub, operation.value("ref")),
        "POST /repos/{owner}/{repo}/git/refs" => create_ref(hub, &body),
        "PATCH /repos/{owner}/{repo}/git/refs/{ref}" => {
            update_ref(hub, operation.value("ref"), &body)
        }
        "POST /repos/{owner}/{repo}/git/commits" => create_commit(hub, &body, example(201)),
        "GET /repos/{owner}/{repo}/git/matching-refs/{ref}" => {
            matching_refs(hub, operation.value("ref"))
        }
        "GET /repos/{owner}/{repo}/compare/{basehead}" => {
            compare(hub, operation.value("basehead"), example(200))
        }
        "GET /repos/{owner}/{repo}/git/trees/{tree_sha}" => {
            tree(hub, operation.value("tree_sha"), query("recursive").is_some())
        }
        "GET /repos/{owner}/{repo}/git/blobs/{file_sha}" => blob(hub, operation.value("file_sha")),
        "GET /repos/{owner}/{repo}/commits/{ref}/status" => {
            let all = hub.statuses.get(operation.value("ref")).cloned().unwrap_or_default();
            let page = page(all.clone(), &query);
            combined(all.len(), page, example(200))
        }
        "GET /repos/{owner}/{repo}/commits/{ref}/check-runs" => {
            let all = hub.check_runs.get(operation.value("ref")).cloned().unwrap_or_default();
            let one = example(200)["check_runs"][0].clone();
            let total = all.len();
            let runs = page(all, &query).into_iter().map(|run| over(one.clone(), run));
            Reply::new(
                200,
                json!({"total_count": total, "check_runs": runs.collect::<Vec<Value>>()}),
            )
        }
        "POST /repos/{owner}/{repo}/statuses/{sha}" => {
            let of_commit = hub.statuses.entry(operation.value("sha").to_owned()).or_default();
            of_commit.retain(|status| status["context"] != body["context"]);
            of_commit.insert(0, body.clone());
            Reply::new(201, over(example(201), body))
        }
        "GET /repos/{owner}/{repo}/deployments" => {
            let same = |deployment: &&Value| {
                ["sha", "environment", "task"]
                    .iter()
                    .all(|key| query(key).is_none_or(|value| deployment[key] == value))
            };
            let found = hub.deployments.iter().rev().filter(same);
            Reply::new(200, found.map(|it| over(example(200), it.clone())).collect())
        }
        "POST /repos/{owner}/{repo}/deployments" => {
            let id = 100 + hub.deployments.len() as u64;
            let deployment = json!({
                "id": id, "sha": body["ref"], "ref": body["ref"],
                "task": body["task"].as_str().unwrap_or("deploy"),
                "environment": body["environment"], "description": body["description"],
            });
            hub.deployments.push(deployment.clone());
            Reply::new(201, over(example(201), deployment))
        }
        "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses" => {
            let id = operation.value("deployment_id").parse().unwrap_or(0);
            hub.deployment_statuses.entry(id).or_default().push(body.clone());
            Reply::new(201, over(example(201), json!({"state": body["state"]})))
        }
        "GET /repos/{owner}/{repo}/installation" => {
            Reply::new(200, over(example(200), json!({"id": 77})))
        }
        "POST /app/installations/{installation_id}/access_tokens" => {
            let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            let token = json!({"token": TOKEN, "expires_at": expires.to_string()});
            Reply::new(201, over(example(201), token))
        }
        other => {
            let what = format!("{other}: this server does not answer it");
            hub.unexpected(what)
        }
    }
}

/// Returns `example` with what `own` says instead.
fn over(mut example: Value, own: Value) -> Value {
    match (&mut example, own) {
        (Value::Object(example), Value::Object(own)) => {
            for (key, value) in own {
                let before = example.remove(&key).unwrap_or_default();
                example.insert(key, over(before, value));
            }
        }
        (example, own) => *example = own,
    }
    example
}

fn pull_json(hub: &Hub, pull: &Pull) -> Value {
    let sha = |branch: &str| hub.tip(branch).map_or("0".repeat(40), |tip| tip.to_string());
    let branch = |name: &str| {
        json!({
            "ref": name, "label": format!("shop:{name}"), "sha": sha(name),
            "repo": {"full_name": "shop/manifests"},
        })
    };
    let url = format!("https://git.example.com/shop/manifests/pull/{}", pull.number);
    json!({
        "number": pull.number,
        "node_id": format!("PR_{}", pull.number),
        "html_url": url,
        "state": if pull.open { "open" } else { "closed" },
        "title": pull.title,
        "body": pull.body,
        "head": branch(&pull.head),
        "base": branch(&pull.base),
        // The published example of a team is none by the published schema.
        "requested_teams": [],
    })
}

fn list_pulls<'a>(hub: &'a Hub, query: &dyn Fn(&str) -> Option<String>) -> Vec<&'a Pull> {
    let first_page = query("page").is_none_or(|page| page == "1");
    let wanted = |pull: &&Pull| {
        let head = format!("shop:{}", pull.head);
        (query("state").as_deref() != Some("open") || pull.open)
            && query("head").is_none_or(|wanted| wanted == head)
            && query("base").is_none_or(|wanted| wanted == pull.base)
            && first_page
    };
    hub.pulls.iter().filter(wanted).collect()
}

fn open_pull(hub: &mut Hub, body: &Value, example: Value) -> Reply {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (head, base) = (text("head"), text("base"));
    let (Some(at), Some(on)) = (hub.tip(&head), hub.tip(&base)) else {
        return Reply::new(
            422,
            json!({
                "message": "Validation Failed", "documentation_url": "https://docs.github.com",
                "errors": [{"resource": "PullRequest", "code": "invalid", "field": "head"}],
            }),
        );
    };
    if hub.open_pull(&head).is_some() {
        return Reply::invalid(&format!("A pull request already exists for shop:{head}."));
    }
    if hub.repository().graph_ahead_behind(at, on).unwrap().0 == 0 {
        return Reply::invalid(&format!("No commits between {base} and {head}"));
    }
    if text("body").chars().count() > 65_536 {
        return Reply::invalid("body is too long (maximum is 65536 characters)");
    }
    let number = 7 + hub.pulls.len() as u64;
    let pull = Pull {
        title: text("title"),
        body: text("body"),
        base,
        merge_state: hub.merge_state,
        ..Pull::open(number, &head)
    };
    hub.pulls.push(pull.clone());
    Reply::new(201, over(example, pull_json(hub, &pull)))
}

fn with_pull(hub: &Hub, number: u64, work: impl FnOnce(&Hub, &Pull) -> Reply) -> Reply {
    match hub.pulls.iter().find(|pull| pull.number == number) {
        Some(pull) => work(hub, pull),
        None => Reply::not_found(),
    }
}

fn change_pull(hub: &mut Hub, number: u64, body: &Value, example: Value) -> Reply {
    let Some(pull) = hub.pulls.iter_mut().find(|pull| pull.number == number) else {
        return Reply::not_found();
    };
    let text = |key: &str| body[key].as_str().map(ToOwned::to_owned);
    pull.title = text("title").unwrap_or(pull.title.clone());
    pull.body = text("body").unwrap_or(pull.body.clone());
    pull.base = text("base").unwrap_or(pull.base.clone());
    pull.open = text("state").map_or(pull.open, |state| state == "open");
    let pull = pull.clone();
    Reply::new(200, over(example, pull_json(hub, &pull)))
}

fn merge(hub: &mut Hub, number: u64, body: &Value) -> Reply {
    let Some(index) = hub.pulls.iter().position(|pull| pull.number == number) else {
        return Reply::not_found();
    };
    let pull = &hub.pulls[index];
    let head = hub.tip(&pull.head).map(|tip| tip.to_string());
    if body["sha"].as_str().is_some_and(|sha| Some(sha) != head.as_deref()) {
        return Reply::refusal(409, "Head branch was modified. Review and try the merge again.");
    }
    if !pull.open || hub.merge_queue || pull.merge_state != "CLEAN" {
        return Reply::refusal(405, "Pull Request is not mergeable");
    }
    let sha = hub.merge(index);
    Reply::new(
        200,
        json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}),
    )
}

fn reviews(pull: &Pull, example: &Value) -> Reply {
    let review = |(login, state, commit): &(String, String, String)| {
        let own = json!({"user": {"login": login}, "state": state, "commit_id": commit});
        over(example.clone(), own)
    };
    Reply::new(200, pull.reviews.iter().map(review).collect())
}

fn reference_json(name: &str, tip: git2::Oid) -> Value {
    let url = "https://git.example.com/api/v3/git";
    json!({
        "ref": name, "node_id": "REF_1", "url": url,
        "object": {"type": "commit", "sha": tip.to_string(), "url": url},
    })
}

fn reference(hub: &Hub, name: &str) -> Reply {
    let full = format!("refs/{name}");
    match hub.repository().refname_to_id(&full) {
        Ok(tip) => Reply::new(200, reference_json(&full, tip)),
        Err(_) => Reply::not_found(),
    }
}

fn create_ref(hub: &Hub, body: &Value) -> Reply {
    let repository = hub.repository();
    let (name, sha) = (body["ref"].as_str().unwrap(), body["sha"].as_str().unwrap());
    let Some(tip) = known_commit(&repository, sha) else {
        return Reply::refusal(422, "Object does not exist");
    };
    match repository.reference(name, tip, false, "api") {
        Ok(_) => Reply::new(201, reference_json(name, tip)),
        Err(_) => Reply::refusal(422, "Reference already exists"),
    }
}

fn update_ref(hub: &Hub, name: &str, body: &Value) -> Reply {
    let repository = hub.repository();
    let full = format!("refs/{name}");
    let Ok(before) = repository.refname_to_id(&full) else {
        return Reply::refusal(422, "Reference does not exist");
    };
    let Some(tip) = known_commit(&repository, body["sha"].as_str().unwrap()) else {
        return Reply::refusal(422, "Object does not exist");
    };
    let forward = before == tip || repository.graph_descendant_of(tip, before).unwrap();
    if !forward && body["force"] != json!(true) {
        return Reply::refusal(422, "Update is not a fast forward");
    }
    repository.reference(&full, tip, true, "api").unwrap();
    Reply::new(200, reference_json(&full, tip))
}

fn known_commit(repository: &git2::Repository, sha: &str) -> Option<git2::Oid> {
    let id = git2::Oid::from_str(sha).ok()?;
    repository.find_commit(id).ok().map(|commit| commit.id())
}

fn compare(hub: &Hub, pair: &str, example: Value) -> Reply {
    let repository = hub.repository();
    let (base, head) = pair.split_once("...").unwrap();
    let commit = |name: &str| {
        let branch = repository.refname_to_id(&format!("refs/heads/{name}")).ok();
        branch.or_else(|| known_commit(&repository, name))
    };
    let (base, head) = (commit(base), commit(head));
    let (Some(base), Some(head)) = (base, head) else { return Reply::not_found() };
    let (ahead, behind) = repository.graph_ahead_behind(head, base).unwrap();
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    Reply::new(200, over(example, json!({"status": status})))
}

fn matching_refs(hub: &Hub, prefix: &str) -> Reply {
    let repository = hub.repository();
    let references = repository.references_glob(&format!("refs/{prefix}*")).unwrap();
    let json = |it: Result<git2::Reference<'_>, git2::Error>| {
        let it = it.unwrap();
        reference_json(it.name().unwrap(), it.target().unwrap())
    };
    let mut found: Vec<Value> = references.map(json).collect();
    found.sort_by_key(|it| it["ref"].to_string());
    Reply::new(200, found.into())
}

/// Makes a commit that nothing leads to yet; GitHub signs what nobody else is named as the author of.
fn create_commit(hub: &mut Hub, body: &Value, example: Value) -> Reply {
    let repository = hub.repository();
    let tree = body["tree"].as_str().unwrap();
    if tree == "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
        repository.treebuilder(None).unwrap().write().unwrap();
    }
    let tree = git2::Oid::from_str(tree).ok().and_then(|id| repository.find_tree(id).ok());
    let parents = body["parents"].as_array().into_iter().flatten();
    let parents: Option<Vec<git2::Commit<'_>>> = parents
        .map(|id| repository.find_commit(known_commit(&repository, id.as_str()?)?).ok())
        .collect();
    let (Some(tree), Some(parents)) = (tree, parents) else {
        return Reply::refusal(422, "Tree SHA does not exist");
    };
    let who = git2::Signature::now("deployctl[bot]", "bot@example.com").unwrap();
    let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
    let text = body["message"].as_str().unwrap();
    let id = repository.commit(None, &who, &who, text, &tree, &parents).unwrap().to_string();
    hub.verified.push(id.clone());
    Reply::new(201, over(example, json!({"sha": id, "message": text})))
}

fn tree(hub: &Hub, sha: &str, recursive: bool) -> Reply {
    let repository = hub.repository();
    let object = git2::Oid::from_str(sha).ok().and_then(|id| repository.find_object(id, None).ok());
    let Some(tree) = object.and_then(|object| object.peel_to_tree().ok()) else {
        return Reply::not_found();
    };
    let mut entries = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        let kind = entry.kind().unwrap();
        let mut json = json!({
            "path": format!("{folder}{}", entry.name().unwrap_or_default()),
            "mode": format!("{:06o}", entry.filemode()),
            "type": kind.str(),
            "sha": entry.id().to_string(),
        });
        if kind == git2::ObjectType::Blob {
            json["size"] = repository.find_blob(entry.id()).unwrap().size().into();
        }
        entries.push(json);
        match recursive {
            true => git2::TreeWalkResult::Ok,
            false => git2::TreeWalkResult::Skip,
        }
    })
    .unwrap();
    Reply::new(
        200,
        json!({
            "sha": tree.id().to_string(), "url": "https://git.example.com/api/v3/tree",
            "truncated": false, "tree": entries,
        }),
    )
}

fn blob(hub: &Hub, sha: &str) -> Reply {
    let repository = hub.repository();
    let id = git2::Oid::from_str(sha).ok();
    let Some(blob) = id.and_then(|id| repository.find_blob(id).ok()) else {
        return Reply::not_found();
    };
    let engine = base64::engine::general_purpose::STANDARD;
    let text = engine.encode(blob.content());
    // GitHub breaks the lines, as RFC 2045 does.
    let lines: Vec<&str> =
        text.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
    Reply::new(
        200,
        json!({
            "sha": sha, "node_id": "B_1", "size": blob.size(), "encoding": "base64",
            "url": "https://git.example.com/api/v3/blob", "content": lines.join("\n") + "\n",
        }),
    )
}

fn combined(total: usize, page: Vec<Value>, example: Value) -> Reply {
    let one = example["statuses"][0].clone();
    let statuses: Vec<Value> = page.into_iter().map(|status| over(one.clone(), status)).collect();
    let own = json!({"statuses": statuses, "total_count": total});
    Reply::new(200, over(example, own))
}

/// Returns the page that is asked for.
fn page(all: Vec<Value>, query: &dyn Fn(&str) -> Option<String>) -> Vec<Value> {
    let number = |name: &str| query(name).map(|text| text.parse::<usize>().unwrap());
    let size = number("per_page").unwrap_or(30).min(100);
    all.into_iter().skip((number("page").unwrap_or(1) - 1) * size).take(size).collect()
}
